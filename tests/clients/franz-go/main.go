// SPDX-License-Identifier: Apache-2.0
// franz-go against a broker: suite HOST:PORT PREFIX.

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type suite struct {
	bootstrap string
	prefix    string
	context   context.Context
	admin     *kadm.Client
}

func (s *suite) name(words string) string {
	return s.prefix + "." + words
}

func (s *suite) client(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner())}, options...)...)
	must(err, "a client")
	return client
}

// create creates a topic, waits until metadata shows it and its leaders take requests, and returns its name: what is sent
// with acks=0 to one that has not heard of it yet is gone, as with any broker.
func (s *suite) create(words string, partitions int32) string {
	topic := s.name(words)
	_, err := s.admin.CreateTopic(s.context, partitions, replication(), nil, topic)
	must(err, "creating "+topic)
	if !waitFor(10*time.Second, func() bool { return s.partitionsOf(topic) == int(partitions) && s.isLed(topic) }) {
		must(fmt.Errorf("not there"), "creating "+topic)
	}
	return topic
}

// isLed tells whether the leader of each partition answers as such.
func (s *suite) isLed(topic string) bool {
	offsets, err := s.admin.ListEndOffsets(s.context, topic)
	return err == nil && offsets.Error() == nil
}

// replication is 3 where there are three nodes.
func replication() int16 {
	if os.Getenv("REPLICATION") == "" {
		return 1
	}
	factor, err := strconv.ParseInt(os.Getenv("REPLICATION"), 10, 16)
	must(err, "REPLICATION")
	return int16(factor)
}

// killLeader is a program that kills a node which leads a partition of the topic it is given; "" with one node.
var killLeader = os.Getenv("KILL_LEADER")

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: suite HOST:PORT PREFIX")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 220*time.Second)
	defer cancel()
	s := &suite{bootstrap: os.Args[1], prefix: os.Args[2], context: ctx}
	s.admin = kadm.NewClient(s.client())
	defer s.admin.Close()
	s.recordsComeBack()
	if killLeader != "" {
		s.groupShares("cooperative-sticky", kgo.CooperativeStickyBalancer())
		s.leaderDies()
	} else {
		s.oddValues()
		s.offsetsAndTimes()
		s.groupsResume()
		s.topicsChange()
		s.configsChange()
		s.groupsChange()
		s.groupsShare()
	}
	if failed > 0 {
		os.Exit(1)
	}
}
