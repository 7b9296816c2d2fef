"""Who a client is: SASL mechanisms, tokens and names in certificates, decided from bytes and the time alone. No I/O, no clock."""
