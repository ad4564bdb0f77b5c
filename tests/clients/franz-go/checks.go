// SPDX-License-Identifier: Apache-2.0
// Checks that print, waits with deadlines, and numbered records.

package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var failed int

func check(passed bool, words string, detail ...any) {
	if passed {
		fmt.Println("ok -", words)
		return
	}
	failed++
	fmt.Println("not ok -", words, fmt.Sprint(detail...))
}

func checkEqual(got, expected any, words string) {
	check(reflect.DeepEqual(got, expected), words, fmt.Sprintf("(expected %.200v, got %.200v)", expected, got))
}

func checkRefused(err, expected error, words string) {
	check(errors.Is(err, expected), words, fmt.Sprintf("(expected %v, got %v)", expected, err))
}

// must ends the program where what follows would mean nothing.
func must(err error, words string) {
	if err != nil {
		fmt.Println("not ok -", words, err)
		os.Exit(1)
	}
}

// waitFor looks at the condition until it holds; false at the deadline.
func waitFor(duration time.Duration, condition func() bool) bool {
	deadline := time.Now().Add(duration)
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// number is record n.
func number(topic string, partition int32, n int) *kgo.Record {
	digits := strconv.Itoa(n)
	return &kgo.Record{
		Topic: topic, Partition: partition, Key: []byte("k" + digits), Value: []byte("v" + digits),
		Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("h" + digits)}},
	}
}

func isNumber(record *kgo.Record, n int) bool {
	expected := number(record.Topic, record.Partition, n)
	return string(record.Key) == string(expected.Key) && string(record.Value) == string(expected.Value) &&
		len(record.Headers) == 1 && record.Headers[0].Key == "h" &&
		string(record.Headers[0].Value) == string(expected.Headers[0].Value)
}

// areNumbers is true where records are first, first+1, ... from this offset on.
func areNumbers(records []*kgo.Record, first, count int, offset int64) bool {
	if len(records) != count {
		fmt.Printf("  %d records instead of %d\n", len(records), count)
		return false
	}
	for i, record := range records {
		if record.Offset != offset+int64(i) || !isNumber(record, first+i) {
			fmt.Printf("  record %d is %d %s %s\n", i, record.Offset, record.Key, record.Value)
			return false
		}
	}
	return true
}
