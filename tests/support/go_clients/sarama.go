package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

type saramaClient struct{}

var saramaCodecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
	"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Net.MaxOpenRequests = 1 // what its idempotent producer asks for
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	return config
}

func (saramaClient) produce(ctx context.Context, address, topic string, count int, codec string) error {
	config := saramaConfig()
	config.Producer.Compression = saramaCodecs[codec]
	admin, err := sarama.NewClusterAdmin([]string{address}, config)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false); err != nil {
		if !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			return err
		}
	}
	producer, err := sarama.NewSyncProducer([]string{address}, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, count)
	for number := range count {
		messages[number] = &sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(key(number)), Value: sarama.StringEncoder(value(number)),
			Headers: []sarama.RecordHeader{{Key: []byte("by"), Value: []byte("sarama")}},
		}
	}
	return producer.SendMessages(messages)
}

// saramaMember hands the messages of all its partitions to one function; an error, or done, ends the session.
type saramaMember struct {
	took func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage) (done bool, err error)
	stop context.CancelFunc
	work chan struct{}
	err  error
}

func (*saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (member *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case <-session.Context().Done():
			return nil
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			member.work <- struct{}{} // partitions have a goroutine each
			if session.Context().Err() == nil {
				done, err := member.took(session, message)
				if done || err != nil {
					member.err = err
					member.stop()
				}
			}
			<-member.work
		}
	}
}

func (saramaClient) consume(ctx context.Context, address, topic, group string, count int) ([]record, error) {
	members, err := sarama.NewConsumerGroup([]string{address}, group, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer members.Close()
	inside, stop := context.WithCancel(ctx)
	defer stop()
	var found []record
	member := &saramaMember{stop: stop, work: make(chan struct{}, 1)}
	member.took = func(session sarama.ConsumerGroupSession, message *sarama.ConsumerMessage) (bool, error) {
		header := ""
		if len(message.Headers) > 0 {
			header = string(message.Headers[0].Value)
		}
		found = append(found, record{message.Partition, message.Offset, string(message.Key), string(message.Value), header})
		session.MarkMessage(message, "")
		if len(found) == count {
			session.Commit()
		}
		return len(found) == count, nil
	}
	for inside.Err() == nil {
		if err := members.Consume(inside, []string{topic}, member); err != nil {
			return found, err
		}
	}
	return found, errors.Join(member.err, ctx.Err())
}

// transaction writes each record in a transaction of its own with its offset: Sarama has no session that would gather them.
func (saramaClient) transaction(ctx context.Context, address, source, target, group string, count int) error {
	config := saramaConfig()
	config.Producer.Transaction.ID = group
	producer, err := sarama.NewAsyncProducer([]string{address}, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	failures := make(chan error, 1)
	go func() {
		for range producer.Successes() {
		}
	}()
	go func() {
		for failed := range producer.Errors() {
			select {
			case failures <- failed:
			default:
			}
		}
	}()
	members, err := sarama.NewConsumerGroup([]string{address}, group, saramaConfig())
	if err != nil {
		return err
	}
	defer members.Close()
	inside, stop := context.WithCancel(ctx)
	defer stop()
	copied := 0
	member := &saramaMember{stop: stop, work: make(chan struct{}, 1)}
	once := func(message *sarama.ConsumerMessage, commit bool) error {
		if err := producer.BeginTxn(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		producer.Input() <- &sarama.ProducerMessage{
			Topic: target, Key: sarama.ByteEncoder(message.Key), Value: sarama.ByteEncoder(message.Value),
		}
		if err := producer.AddMessageToTxn(message, group, nil); err != nil {
			return fmt.Errorf("offsets: %w", err)
		}
		if !commit {
			return producer.AbortTxn()
		}
		return producer.CommitTxn()
	}
	member.took = func(session sarama.ConsumerGroupSession, message *sarama.ConsumerMessage) (bool, error) {
		if copied%2 == 1 {
			if err := once(message, false); err != nil {
				return true, fmt.Errorf("abort: %w", err)
			}
		}
		if err := once(message, true); err != nil {
			return true, fmt.Errorf("commit: %w", err)
		}
		copied++
		return copied == count, nil
	}
	for inside.Err() == nil {
		if err := members.Consume(inside, []string{source}, member); err != nil {
			return err
		}
	}
	select {
	case failed := <-failures:
		return errors.Join(member.err, failed)
	default:
		return errors.Join(member.err, ctx.Err())
	}
}

func (saramaClient) administer(ctx context.Context, address, topic string) (administration, error) {
	var found administration
	config := saramaConfig()
	client, err := sarama.NewClient([]string{address}, config)
	if err != nil {
		return found, err
	}
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return found, err
	}
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}
	if err := admin.CreateTopic(topic, detail, false); err != nil {
		return found, fmt.Errorf("create: %w", err)
	}
	if err := admin.CreateTopic(topic, detail, false); err != nil {
		found.CreateAgainError = err.Error()
	}
	if err := admin.CreatePartitions(topic, 3, nil, false); err != nil {
		return found, fmt.Errorf("create partitions: %w", err)
	}
	week := "604800000"
	change := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &week}}
	if err := admin.IncrementalAlterConfig(sarama.TopicResource, topic, change, false); err != nil {
		return found, fmt.Errorf("alter: %w", err)
	}
	configs, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	if err != nil {
		return found, fmt.Errorf("describe: %w", err)
	}
	for _, each := range configs {
		if each.Name == "retention.ms" {
			found.RetentionMs = each.Value
		}
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return found, err
	}
	defer producer.Close()
	var partition int32
	for range 2 {
		if partition, _, err = producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("k")}); err != nil {
			return found, fmt.Errorf("send: %w", err)
		}
	}
	if err := admin.DeleteRecords(topic, map[int32]int64{partition: 2}); err != nil {
		return found, fmt.Errorf("delete records: %w", err)
	}
	if found.LowWatermark, err = client.GetOffset(topic, partition, sarama.OffsetOldest); err != nil {
		return found, err
	}
	listed, err := admin.ListTopics()
	if err != nil {
		return found, err
	}
	described, there := listed[topic]
	found.Listed, found.Partitions = there, int(described.NumPartitions)
	if err := admin.DeleteTopic(topic); err != nil {
		return found, fmt.Errorf("delete: %w", err)
	}
	listed, err = admin.ListTopics()
	_, found.ListedWhenGone = listed[topic]
	return found, err
}
