// One command line over two Kafka clients of the Go world, so that a test can say what a client shall do and look at what it did.
//
//	go_clients CLIENT produce     ADDRESS TOPIC COUNT CODEC
//	go_clients CLIENT consume     ADDRESS TOPIC GROUP COUNT
//	go_clients CLIENT transaction ADDRESS SOURCE TARGET GROUP COUNT
//	go_clients CLIENT administer  ADDRESS TOPIC
//
// CLIENT is franz-go, franz-go-kip-848 (its members use the new group protocol) or sarama.
//
// produce      creates the topic with three partitions, sends "key-0" to "key-N" idempotently
// consume      reads as a member of the group, commits, prints one JSON object a record
// transaction  copies records as a member of the group, ten in a transaction; every other one is aborted first and done again
// administer   prints one JSON object of what the administration's answers were
//
// Whatever goes wrong is one line on stderr, and the exit code is 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const batchOfTransaction = 10

type record struct {
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Key       string `json:"key"`
	Value     string `json:"value"`
	Header    string `json:"header"`
}

type administration struct {
	Partitions       int    `json:"partitions"`
	RetentionMs      string `json:"retention_ms"`
	LowWatermark     int64  `json:"low_watermark"`
	Listed           bool   `json:"listed"`
	ListedWhenGone   bool   `json:"listed_when_gone"`
	CreateAgainError string `json:"create_again_error"`
}

type client interface {
	produce(ctx context.Context, address, topic string, count int, codec string) error
	consume(ctx context.Context, address, topic, group string, count int) ([]record, error)
	transaction(ctx context.Context, address, source, target, group string, count int) error
	administer(ctx context.Context, address, topic string) (administration, error)
}

var clients = map[string]client{"franz-go": franzClient{}, "franz-go-kip-848": franzClient{kgo.ServerSideBalancer()}, "sarama": saramaClient{}}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 4 || clients[arguments[0]] == nil {
		return fmt.Errorf("usage: go_clients franz-go|franz-go-kip-848|sarama VERB ADDRESS TOPIC ..., got %q", arguments)
	}
	chosen, verb, address, rest := clients[arguments[0]], arguments[1], arguments[2], arguments[3:]
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	out := json.NewEncoder(os.Stdout)
	switch {
	case verb == "produce" && len(rest) == 3:
		count, err := strconv.Atoi(rest[1])
		if err != nil {
			return err
		}
		return chosen.produce(ctx, address, rest[0], count, rest[2])
	case verb == "consume" && len(rest) == 3:
		count, err := strconv.Atoi(rest[2])
		if err != nil {
			return err
		}
		records, err := chosen.consume(ctx, address, rest[0], rest[1], count)
		for _, each := range records {
			if failed := out.Encode(each); failed != nil {
				return failed
			}
		}
		return err
	case verb == "transaction" && len(rest) == 4:
		count, err := strconv.Atoi(rest[3])
		if err != nil {
			return err
		}
		return chosen.transaction(ctx, address, rest[0], rest[1], rest[2], count)
	case verb == "administer" && len(rest) == 1:
		found, err := chosen.administer(ctx, address, rest[0])
		if err != nil {
			return err
		}
		return out.Encode(found)
	}
	return fmt.Errorf("no such verb, or not its number of arguments: %q", arguments)
}

func key(number int) string   { return fmt.Sprintf("key-%d", number) }
func value(number int) string { return fmt.Sprintf("value-%d", number) }
