"""The same requests to the engine and to Apache Kafka, and their answers compared field by field.

`table` says what is asked: conversations, in every version of an API. Kafka's side of each is recorded in tests/golden, so that the
comparison runs without Java; `python -m differential.record`, from tests/, records it anew. What may be different is a closed list of
fields (`fields`); what is different on purpose stands in differences.toml, each with its reason.
"""
