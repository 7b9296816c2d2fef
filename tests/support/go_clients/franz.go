package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franzClient joins groups with these options over the usual ones.
type franzClient []kgo.Opt

var franzCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func (franzClient) produce(ctx context.Context, address, topic string, count int, codec string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ProducerBatchCompression(franzCodecs[codec]))
	if err != nil {
		return err
	}
	defer client.Close()
	created, err := kadm.NewClient(client).CreateTopic(ctx, 3, 1, nil, topic)
	if err != nil && created.ErrMessage == "" {
		return err
	}
	records := make([]*kgo.Record, count)
	for number := range count {
		records[number] = &kgo.Record{
			Topic: topic, Key: []byte(key(number)), Value: []byte(value(number)),
			Headers: []kgo.RecordHeader{{Key: "by", Value: []byte("franz-go")}},
		}
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

func (extra franzClient) consume(ctx context.Context, address, topic, group string, count int) ([]record, error) {
	client, err := kgo.NewClient(append(slices.Clone(extra),
		kgo.SeedBrokers(address), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var found []record
	for len(found) < count {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return found, err
		}
		for _, failed := range fetches.Errors() {
			return found, failed.Err
		}
		fetches.EachRecord(func(each *kgo.Record) {
			header := ""
			if len(each.Headers) > 0 {
				header = string(each.Headers[0].Value)
			}
			found = append(found, record{each.Partition, each.Offset, string(each.Key), string(each.Value), header})
		})
	}
	return found, client.CommitUncommittedOffsets(ctx)
}

func (extra franzClient) transaction(ctx context.Context, address, source, target, group string, count int) error {
	session, err := kgo.NewGroupTransactSession(append(slices.Clone(extra),
		kgo.SeedBrokers(address), kgo.ConsumerGroup(group), kgo.ConsumeTopics(source), kgo.TransactionalID(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(), kgo.AllowAutoTopicCreation(),
	)...)
	if err != nil {
		return err
	}
	defer session.Close()
	copied, aborts := 0, true
	for copied < count {
		fetches := session.PollRecords(ctx, batchOfTransaction)
		if err := fetches.Err0(); err != nil {
			return err
		}
		if err := session.Begin(); err != nil {
			return err
		}
		taken := 0
		fetches.EachRecord(func(each *kgo.Record) {
			taken++
			session.Produce(ctx, &kgo.Record{Topic: target, Key: each.Key, Value: each.Value, Headers: each.Headers}, nil)
		})
		end := kgo.TryCommit
		if aborts && taken > 0 {
			if err := session.Client().Flush(ctx); err != nil { // else what is to be aborted was never sent
				return err
			}
			end = kgo.TryAbort
		}
		committed, err := session.End(ctx, end)
		if err != nil {
			return err
		}
		if committed {
			copied += taken
		}
		if taken > 0 {
			aborts = !aborts
		}
	}
	return nil
}

func (franzClient) administer(ctx context.Context, address, topic string) (administration, error) {
	var found administration
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return found, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, 2, 1, nil, topic); err != nil {
		return found, fmt.Errorf("create: %w", err)
	}
	if _, err := admin.CreateTopic(ctx, 2, 1, nil, topic); err != nil {
		found.CreateAgainError = err.Error()
	}
	if _, err := admin.CreatePartitions(ctx, 1, topic); err != nil {
		return found, fmt.Errorf("create partitions: %w", err)
	}
	week := "604800000"
	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &week}}, topic)
	if err != nil || altered[0].Err != nil {
		return found, errors.Join(err, altered[0].Err)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return found, err
	}
	for _, each := range configs[0].Configs {
		if each.Key == "retention.ms" {
			found.RetentionMs = *each.Value
		}
	}
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte("k")}, &kgo.Record{Topic: topic, Key: []byte("k")}).FirstErr(); err != nil {
		return found, err
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return found, err
	}
	deleted, err := admin.DeleteRecords(ctx, ends.Offsets())
	if err != nil {
		return found, err
	}
	for _, each := range deleted[topic] {
		found.LowWatermark = max(found.LowWatermark, each.LowWatermark)
	}
	listed, err := admin.ListTopics(ctx)
	if err != nil {
		return found, err
	}
	found.Listed, found.Partitions = listed.Has(topic), len(listed[topic].Partitions)
	if gone, err := admin.DeleteTopic(ctx, topic); err != nil {
		return found, fmt.Errorf("delete %v: %w", gone, err)
	}
	fresh, err := kgo.NewClient(kgo.SeedBrokers(address)) // the other one has a cache of what it listed
	if err != nil {
		return found, err
	}
	defer fresh.Close()
	listed, err = kadm.NewClient(fresh).ListTopics(ctx)
	found.ListedWhenGone = listed.Has(topic)
	return found, err
}
