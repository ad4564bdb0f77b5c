// SPDX-License-Identifier: Apache-2.0
// Administration: topics, partitions, configurations, records, groups, offsets.

package main

import (
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (s *suite) partitionsOf(topic string) int {
	listed, err := s.admin.ListTopics(s.context, topic)
	must(err, "list topics")
	if listed[topic].Err != nil {
		return 0
	}
	return len(listed[topic].Partitions)
}

func (s *suite) topicsChange() {
	topic := s.create("admin", 2)
	_, err := s.admin.CreateTopic(s.context, 2, 1, nil, topic)
	checkRefused(err, kerr.TopicAlreadyExists, "a topic that exists is refused")
	_, err = s.admin.CreateTopic(s.context, 1, 1, nil, "no/name")
	checkRefused(err, kerr.InvalidTopicException, "a name that is no topic name is refused")
	_, err = s.admin.CreateTopic(s.context, 1, 3, nil, s.name("copies"))
	checkRefused(err, kerr.InvalidReplicationFactor, "more copies than nodes are refused")
	grown, err := s.admin.UpdatePartitions(s.context, 5, topic)
	must(err, "update partitions")
	check(grown[topic].Err == nil && waitFor(10*time.Second, func() bool { return s.partitionsOf(topic) == 5 }),
		"a topic grows to five", grown[topic].Err)
	shrunk, err := s.admin.UpdatePartitions(s.context, 3, topic)
	must(err, "update partitions")
	checkRefused(shrunk[topic].Err, kerr.InvalidPartitions, "and does not shrink")
	s.produce(topic, 4, 0, 100)
	described, err := s.admin.DescribeProducers(s.context, kadm.TopicsSet{topic: {4: {}}})
	must(err, "describe producers")
	checkEqual(len(described[topic].Partitions[4].ActiveProducers), 1, "one active producer is described")
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 4, 60, -1)
	deleted, err := s.admin.DeleteRecords(s.context, offsets)
	must(err, "delete records")
	checkEqual(deleted[topic][4].LowWatermark, int64(60), "records before 60 are deleted")
	check(areNumbers(s.read(topic, 4, kgo.NewOffset().AtStart(), 40), 60, 40, 60), "and reading starts at 60")
	dirs, err := s.admin.DescribeAllLogDirs(s.context, kadm.TopicsSet{topic: {4: {}}})
	must(err, "describe log dirs")
	size := int64(0)
	dirs.Each(func(dir kadm.DescribedLogDir) { size += dir.Size() })
	check(size > 0, "log directories tell the partition's size", size)
	_, err = s.admin.DeleteTopic(s.context, topic)
	must(err, "delete topic")
	check(waitFor(10*time.Second, func() bool { return s.partitionsOf(topic) == 0 }), "a deleted topic is not listed")
	_, err = s.admin.DeleteTopic(s.context, topic)
	checkRefused(err, kerr.UnknownTopicOrPartition, "and is unknown after that")
}

func (s *suite) configOf(topic, key string) string {
	described, err := s.admin.DescribeTopicConfigs(s.context, topic)
	must(err, "describe configs")
	for _, config := range described[0].Configs {
		if config.Key == key {
			return config.MaybeValue()
		}
	}
	return ""
}

func (s *suite) configsChange() {
	topic := s.create("configs", 1)
	alter := func(operation kadm.IncrementalOp, key, value string) error {
		answers, err := s.admin.AlterTopicConfigs(s.context,
			[]kadm.AlterConfig{{Op: operation, Name: key, Value: kadm.StringPtr(value)}}, topic)
		must(err, "alter configs")
		return answers[0].Err
	}
	becomes := func(key, value, words string) {
		check(waitFor(10*time.Second, func() bool { return s.configOf(topic, key) == value }), words,
			s.configOf(topic, key))
	}
	check(alter(kadm.SetConfig, "retention.ms", "987654321") == nil, "retention.ms is set")
	becomes("retention.ms", "987654321", "and reads back")
	check(alter(kadm.AppendConfig, "cleanup.policy", "compact") == nil, "a list is appended to")
	becomes("cleanup.policy", "delete,compact", "and reads back")
	checkRefused(alter(kadm.SetConfig, "retention.ms", "soon"), kerr.InvalidConfig, "a value that is no number is refused")
	check(alter(kadm.DeleteConfig, "cleanup.policy", "") == nil, "a configuration is reset")
	becomes("cleanup.policy", "delete", "and has its default again")
	check(s.configOf(topic, "segment.bytes") == "1073741824", "segment.bytes has Kafka's default")
}

func (s *suite) groupNames() []string {
	listed, err := s.admin.ListGroups(s.context)
	must(err, "list groups")
	names := listed.Groups()
	sort.Strings(names)
	return names
}

func (s *suite) groupsChange() {
	topic := s.create("group-admin", 1)
	s.produce(topic, 0, 0, 100)
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 44, -1)
	must(s.admin.CommitAllOffsets(s.context, topic, offsets), "commit offsets")
	client := s.client(append(s.groupOptions(topic, kgo.RangeBalancer()), kgo.ClientID("watched"))...)
	check(areNumbers(poll(s.context, client, 56, 30*time.Second), 44, 56, 44), "a member reads from the offset set")
	described, err := s.admin.DescribeGroups(s.context, topic)
	must(err, "describe groups")
	group := described[topic]
	check(group.State == "Stable" && len(group.Members) == 1 && group.Members[0].ClientID == "watched",
		"the group is described with its member", group.State)
	_, err = s.admin.DeleteGroup(s.context, topic)
	checkRefused(err, kerr.NonEmptyGroup, "a group with members is not deleted")
	must(client.CommitUncommittedOffsets(s.context), "commit")
	client.Close()
	lags, err := s.admin.Lag(s.context, topic)
	must(err, "lag")
	lag := lags[topic]
	check(lag.State == "Empty" && lag.Lag.Total() == 0, "it is empty and has no lag when all was read",
		lag.State, lag.Lag.Total())
	removed, err := s.admin.DeleteOffsets(s.context, topic, kadm.TopicsSet{topic: {0: {}}})
	must(err, "delete offsets")
	check(removed[topic][0] == nil, "a group's offset is deleted", removed[topic][0])
	left, err := s.admin.FetchOffsets(s.context, topic)
	must(err, "fetch offsets")
	_, found := left.Lookup(topic, 0)
	check(!found, "and is gone")
	_, err = s.admin.DeleteGroup(s.context, topic)
	names := s.groupNames()
	i := sort.SearchStrings(names, topic)
	check((err == nil || err == kerr.GroupIDNotFound) && (i == len(names) || names[i] != topic),
		"a deleted group is not listed", err)
}
