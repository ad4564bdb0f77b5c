// SPDX-License-Identifier: Apache-2.0
// Consumer groups: members join and leave, every record goes to one of them once.

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 6
	round      = 100
)

// member is one consumer of a group in a goroutine of its own.
type member struct {
	client  *kgo.Client
	cancel  context.CancelFunc
	done    chan struct{}
	lock    sync.Mutex
	records []*kgo.Record
	owned   int
}

func (s *suite) groupOptions(topic string, balancer kgo.GroupBalancer) []kgo.Opt {
	return []kgo.Opt{kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.Balancers(balancer),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6 * time.Second),
		kgo.HeartbeatInterval(300 * time.Millisecond), kgo.FetchMaxWait(100 * time.Millisecond)}
}

// startMember begins to read. A partition is given up only between two polls, and what was read is committed then.
func (s *suite) startMember(topic string, balancer kgo.GroupBalancer) *member {
	m := &member{done: make(chan struct{})}
	own := func(change int) {
		m.lock.Lock()
		m.owned += change
		m.lock.Unlock()
	}
	gone := func(ctx context.Context, client *kgo.Client, lost map[string][]int32) {
		must(client.CommitMarkedOffsets(ctx), "committing before a partition is given up")
		own(-len(lost[topic]))
	}
	m.client = s.client(append(s.groupOptions(topic, balancer), kgo.BlockRebalanceOnPoll(), kgo.AutoCommitMarks(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) { own(len(got[topic])) }),
		kgo.OnPartitionsRevoked(gone),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { own(-len(lost[topic])) }))...)
	ctx, cancel := context.WithCancel(s.context)
	m.cancel = cancel
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			got := m.client.PollRecords(ctx, 50).Records()
			m.lock.Lock()
			m.records = append(m.records, got...)
			m.lock.Unlock()
			m.client.MarkCommitRecords(got...)
			m.client.AllowRebalance()
		}
	}()
	return m
}

func (m *member) stop() {
	m.cancel()
	<-m.done
	m.client.CloseAllowingRebalance()
}

func (m *member) seen() (int, int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.records), m.owned
}

func total(members []*member) int {
	sum := 0
	for _, m := range members {
		count, _ := m.seen()
		sum += count
	}
	return sum
}

func shared(members ...*member) func() bool {
	return func() bool {
		for _, m := range members {
			if _, owned := m.seen(); owned != partitions/len(members) {
				return false
			}
		}
		return true
	}
}

func checkMembers(words string, members []*member, last int) {
	seen := map[string]int{}
	wrong := 0
	for _, m := range members {
		ends := map[int32]int64{}
		for _, record := range m.records {
			if end, known := ends[record.Partition]; !isNumber(record, int(record.Offset)) ||
				(known && record.Offset <= end) {
				wrong++
			}
			ends[record.Partition] = record.Offset
			seen[fmt.Sprint(record.Partition, "/", record.Offset)]++
		}
	}
	repeated := 0
	for _, times := range seen {
		if times != 1 {
			repeated++
		}
	}
	check(repeated == 0 && len(seen) == partitions*last, words+": every record goes to one member once",
		fmt.Sprintf("(%d places, %d of them repeated)", len(seen), repeated))
	check(wrong == 0, words+": each member reads each partition in order", wrong)
}

func (s *suite) groupsShare() {
	balancers := map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
		"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer()}
	for words, balancer := range balancers {
		s.groupShares(words, balancer)
	}
}

// groupShares: two members share six partitions, a third joins, one leaves.
func (s *suite) groupShares(words string, balancer kgo.GroupBalancer) {
	const limit = 40 * time.Second
	topic := s.create("group-"+words, partitions)
	produceRound := func(first int) {
		for partition := int32(0); partition < partitions; partition++ {
			s.produce(topic, partition, first, round)
		}
	}
	produceRound(0)
	members := []*member{s.startMember(topic, balancer), s.startMember(topic, balancer)}
	reads := func(count int) func() bool { return func() bool { return total(members) >= count } }
	check(waitFor(limit, reads(partitions*round)), words+": two members read")
	check(waitFor(limit, shared(members...)), words+": each has three partitions")
	members = append(members, s.startMember(topic, balancer))
	check(waitFor(limit, shared(members...)), words+": a third joins and each has two")
	produceRound(round)
	check(waitFor(limit, reads(2*partitions*round)), words+": three members read")
	members[1].stop()
	check(waitFor(limit, shared(members[0], members[2])), words+": one leaves and the others have three")
	produceRound(2 * round)
	check(waitFor(limit, reads(3*partitions*round)), words+": those left read the rest")
	members[0].stop()
	members[2].stop()
	checkMembers(words, members, 3*round)
}

func (s *suite) groupsResume() {
	for _, static := range []string{"", "one"} {
		topic := s.create("resume"+static, 1)
		s.produce(topic, 0, 0, 300)
		options := append(s.groupOptions(topic, kgo.RangeBalancer()), kgo.DisableAutoCommit())
		if static != "" {
			options = append(options, kgo.InstanceID(static))
		}
		words := fmt.Sprintf("static id %q", static)
		first := s.client(options...)
		records := poll(s.context, first, 120, 30*time.Second)
		check(areNumbers(records, 0, 120, 0), words+": reads 120 records")
		must(first.CommitRecords(s.context, records...), "a commit by hand")
		first.Close()
		committed, err := s.admin.FetchOffsets(s.context, topic)
		must(err, "fetch offsets")
		offset, _ := committed.Lookup(topic, 0)
		checkEqual(offset.At, int64(120), words+": the commit reads back")
		second := s.client(options...)
		check(areNumbers(poll(s.context, second, 180, 30*time.Second), 120, 180, 120),
			words+": resumes at the 121st after a restart")
		second.Close()
	}
}
