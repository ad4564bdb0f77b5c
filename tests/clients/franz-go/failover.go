// SPDX-License-Identifier: Apache-2.0
// Three nodes, one of which is killed while it leads.

package main

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// reader notes the places that members of a group have read; after their coordinator died they may read some again.
type reader struct {
	lock   sync.Mutex
	places map[string]bool
	wrong  int
}

func (r *reader) take(record *kgo.Record) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if !isNumber(record, int(record.Offset)) {
		r.wrong++
	}
	r.places[fmt.Sprint(record.Partition, "/", record.Offset)] = true
}

func (r *reader) seen() (int, int) {
	r.lock.Lock()
	defer r.lock.Unlock()
	return len(r.places), r.wrong
}

// read is a member until the context ends.
func (r *reader) read(ctx context.Context, client *kgo.Client, done *sync.WaitGroup) {
	defer done.Done()
	for ctx.Err() == nil {
		client.PollRecords(ctx, 50).EachRecord(r.take)
	}
	client.Close()
}

func (s *suite) leaderDies() {
	const rounds = 6
	topic := s.create("failover", partitions)
	ctx, cancel := context.WithCancel(s.context)
	r := &reader{places: map[string]bool{}}
	var done sync.WaitGroup
	for members := 0; members < 2; members++ {
		done.Add(1)
		go r.read(ctx, s.client(s.groupOptions(topic, kgo.CooperativeStickyBalancer())...), &done)
	}
	producer := s.client(kgo.RecordDeliveryTimeout(60 * time.Second))
	misplaced := 0
	for n := 0; n < rounds*round; n += round {
		if n == rounds/2*round {
			check(exec.Command(killLeader, topic).Run() == nil, "a leader is killed")
		}
		var sent []*kgo.Record
		for partition := int32(0); partition < partitions; partition++ {
			for i := n; i < n+round; i++ {
				sent = append(sent, number(topic, partition, i))
			}
		}
		must(producer.ProduceSync(s.context, sent...).FirstErr(), "producing while a leader dies")
		for i, record := range sent {
			if record.Offset != int64(n+i%round) {
				misplaced++
			}
		}
	}
	producer.Close()
	check(misplaced == 0, "every record is acknowledged at its place", misplaced)
	for partition := int32(0); partition < partitions; partition++ {
		check(areNumbers(s.read(topic, partition, kgo.NewOffset().AtStart(), rounds*round), 0, rounds*round, 0),
			fmt.Sprintf("partition %d has each once, in order", partition))
	}
	all := func() bool { places, _ := r.seen(); return places >= rounds*round*partitions }
	check(waitFor(40*time.Second, all), "the group read them all")
	cancel()
	done.Wait()
	places, wrong := r.seen()
	check(places == rounds*round*partitions && wrong == 0, "and nothing else", places, wrong)
}
