/* SPDX-License-Identifier: Apache-2.0 */
/* .help: the manual on one page. */
#include "fs/tree.h"

static const char manual[] =
    "topicfs: topics as directories, partitions as files, consumer groups as offset files\n"
    "\n"
    "  mkdir orders                        make a topic; rmdir orders deletes it with its records\n"
    "  touch orders/1                      add partition 1, the next one\n"
    "  echo hello >> orders/0              append a record; every line is one\n"
    "  cat orders/0; tail -f orders/0      read records; follow them\n"
    "  grep ERROR */[0-9]*                 search all topics\n"
    "  cat orders/0@-100                   the last 100 records; also 0@1500, 0@1500:1600,\n"
    "                                      0@-1h, 0@2026-08-23T10:00:00Z, 0@start, 0@end\n"
    "  cat orders/.info                    leader, replicas, those in sync, offsets and size\n"
    "                                      of each partition, and how far each replica is behind\n"
    "  echo 3 > orders/.config/replication.factor    so many replicas of each partition\n"
    "  cat orders/.config/retention.ms     a topic's configuration; echo VALUE > sets it,\n"
    "                                      echo default > puts the default back\n"
    "  cat .groups/billing/orders/0        the offset group billing has committed\n"
    "  echo start > .groups/billing/orders/0    commit another: N, start, end, +N, -N, @-1h,\n"
    "                                      @2026-08-23T10:00:00Z, @MILLISECONDS; none forgets it\n"
    "  mkdir, rmdir .groups/billing        make and delete a group\n"
    "  cat .groups/billing/.lag            how far behind, and who reads; also .state, .members,\n"
    "                                      .protocol, .coordinator\n"
    "  cat .health                         ok, or what is wrong: partitions without a leader or a\n"
    "                                      replica, and since when\n"
    "  cat .brokers/2/state                a node; also host, port, rack, version, disk, uptime,\n"
    "                                      leaders, replicas\n"
    "  echo drain > .brokers/2/.ctl        empty it; undrain, remove\n"
    "  cat .cluster/quorum                 who leads the cluster, and who follows; also\n"
    "                                      controller, id, version, features, topics, partitions\n"
    "  cat .cluster/events                 what happened, newest last\n"
    "  cat .errors                         why operations failed, newest last\n"
    "  getfattr -d -m user.kafka orders/0  offsets, leader and replicas of a file\n"
    "\n"
    "Every node's mount shows and takes the same, wherever leaders and replicas are. A node\n"
    "that is cut off says so in .health and goes on reading what it knows to be committed.\n"
    "A write(2) that returns has been acknowledged as the mount's option acks says (default all).\n"
    "A line that was not ended by a newline becomes a record at close or fsync. Files are append\n"
    "only: write with >>; > is refused. Topics whose names begin with '.' are shown as %2E...\n";

static void help_render(struct node_op *op)
{
    text_add_bytes(&op->text, manual, sizeof manual - 1);
    node_op_done(op, ERROR_NONE);
}

const struct inode_class help_class = {
    .name = "help",
    .mode = S_IFREG | 0444,
    .render = help_render,
};
