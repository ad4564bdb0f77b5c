// SPDX-License-Identifier: Apache-2.0
// Records: every codec and acknowledgement, by offset and by time.

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produce sends numbered records, waits for all and returns their offsets.
func (s *suite) produce(topic string, partition int32, first, count int, options ...kgo.Opt) []int64 {
	producer := s.client(append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	defer producer.Close()
	records := make([]*kgo.Record, 0, count)
	for n := first; n < first+count; n++ {
		records = append(records, number(topic, partition, n))
	}
	results := producer.ProduceSync(s.context, records...)
	must(results.FirstErr(), "producing to "+topic)
	offsets := make([]int64, 0, count)
	for _, record := range records {
		offsets = append(offsets, record.Offset)
	}
	return offsets
}

// read reads count records of a partition from an offset, outside any group.
func (s *suite) read(topic string, partition int32, from kgo.Offset, count int, options ...kgo.Opt) []*kgo.Record {
	consumer := s.client(append(options, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {partition: from}}))...)
	defer consumer.Close()
	return poll(s.context, consumer, count, 20*time.Second)
}

// poll reads records until there are count or the time is over.
func poll(parent context.Context, consumer *kgo.Client, count int, limit time.Duration) []*kgo.Record {
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	var records []*kgo.Record
	for len(records) < count && ctx.Err() == nil {
		records = append(records, consumer.PollRecords(ctx, count-len(records)).Records()...)
	}
	return records
}

func (s *suite) recordsComeBack() {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for name, codec := range codecs {
		topic := s.create("codec-"+name, 2)
		offsets := s.produce(topic, 1, 0, 1000, kgo.ProducerBatchCompression(codec))
		check(offsets[0] == 0 && offsets[999] == 999, name+": offsets are answered")
		check(areNumbers(s.read(topic, 1, kgo.NewOffset().AtStart(), 1000), 0, 1000, 0),
			name+": keys, values and headers come back in order")
	}
	acks := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
	for name, acks := range acks {
		topic := s.create("acks-"+name, 1)
		s.produce(topic, 0, 0, 500, kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite(),
			kgo.MaxProduceRequestsInflightPerBroker(1))
		check(areNumbers(s.read(topic, 0, kgo.NewOffset().AtStart(), 500), 0, 500, 0), "acks="+name)
	}
	topic := s.create("idempotent", 1)
	s.produce(topic, 0, 0, 3000, kgo.ProducerBatchMaxBytes(600), kgo.ProducerLinger(0))
	check(areNumbers(s.read(topic, 0, kgo.NewOffset().AtStart(), 3000), 0, 3000, 0),
		"an idempotent producer with small batches")
	check(areNumbers(s.read(topic, 0, kgo.NewOffset().At(1234), 1766, kgo.FetchMaxBytes(2000),
		kgo.FetchMaxPartitionBytes(500)), 1234, 1766, 1234), "small fetches from an offset get all of it")
	check(areNumbers(s.read(topic, 0, kgo.NewOffset().AtEnd().Relative(-10), 10), 2990, 10, 2990),
		"reading starts ten before the end")
}

func (s *suite) oddValues() {
	topic := s.create("odd", 1)
	producer := s.client(kgo.DefaultProduceTopic(topic), kgo.ProducerBatchMaxBytes(2000000),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.BrokerMaxWriteBytes(4000000))
	defer producer.Close()
	must(producer.ProduceSync(s.context, &kgo.Record{Key: []byte("null")}, &kgo.Record{Value: []byte{}},
		kgo.StringRecord(strings.Repeat("x", 900000))).FirstErr(), "odd values")
	err := producer.ProduceSync(s.context, kgo.StringRecord(strings.Repeat("y", 1100000))).FirstErr()
	checkRefused(err, kerr.MessageTooLarge, "a record above max.message.bytes is refused")
	records := s.read(topic, 0, kgo.NewOffset().AtStart(), 3)
	if len(records) != 3 {
		check(false, "null, empty and large values come back", len(records))
		return
	}
	check(string(records[0].Key) == "null" && records[0].Value == nil && records[1].Key == nil &&
		records[1].Value != nil && len(records[1].Value) == 0 && len(records[2].Value) == 900000,
		"null, empty and large values come back")
}

func (s *suite) offsetsAndTimes() {
	topic := s.create("time", 1)
	base := time.Now().Add(-500 * time.Second).Truncate(time.Millisecond)
	producer := s.client()
	var sent []*kgo.Record
	for n := 0; n < 100; n++ {
		record := number(topic, 0, n)
		record.Timestamp = base.Add(time.Duration(n) * time.Second)
		sent = append(sent, record)
	}
	must(producer.ProduceSync(s.context, sent...).FirstErr(), "records with times")
	producer.Close()
	records := s.read(topic, 0, kgo.NewOffset().AtStart(), 100)
	same := areNumbers(records, 0, 100, 0)
	for i, record := range records {
		same = same && record.Timestamp.Equal(base.Add(time.Duration(i)*time.Second))
	}
	check(same, "times come back as they were given")
	asked := base.Add(41500 * time.Millisecond).UnixMilli()
	check(areNumbers(s.read(topic, 0, kgo.NewOffset().AfterMilli(asked), 58), 42, 58, 42), "reading starts at a time")
	offsetAt := func(milli int64) int64 {
		listed, err := s.admin.ListOffsetsAfterMilli(s.context, milli, topic)
		must(err, "list offsets")
		offset, _ := listed.Lookup(topic, 0)
		return offset.Offset
	}
	checkEqual(offsetAt(asked), int64(42), "the offset between two times")
	checkEqual(offsetAt(base.Add(99001*time.Millisecond).UnixMilli()), int64(100), "the end after the last time")
	start, err := s.admin.ListStartOffsets(s.context, topic)
	must(err, "start offsets")
	end, err := s.admin.ListEndOffsets(s.context, topic)
	must(err, "end offsets")
	first, _ := start.Lookup(topic, 0)
	last, _ := end.Lookup(topic, 0)
	checkEqual(fmt.Sprint(first.Offset, last.Offset), "0 100", "start and end offsets")
}
