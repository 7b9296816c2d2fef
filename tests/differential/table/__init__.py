"""What is asked of both brokers, by family of APIs."""

from differential.table import administration, cluster, configs, consumer_groups, groups, records, topics, transactions, users

__all__ = ["administration", "cluster", "configs", "consumer_groups", "groups", "records", "topics", "transactions", "users"]
