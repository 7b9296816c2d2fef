"""The rows of `ev.settings` about connections: their requests, their listeners, who their clients are, and how much these may do."""

from __future__ import annotations

from ev.setting_types import INT_MAX, Choice, Counts, Number, Principals, Secret, Switch, Text, Words
from ev.setting_units import KIB, MIB, MINUTE_MS, SECOND_MS


class ConnectionSettings:
    """What holds for clients before anything is asked of a topic or a group."""

    # ---- requests and connections
    fetch_max_bytes = Number(
        "fetch.max.bytes", 55 * MIB, "The most bytes that one fetch returns, whatever it asked for.", low=1024, high=INT_MAX, unit="bytes"
    )
    max_incremental_fetch_session_cache_slots = Number(
        "max.incremental.fetch.session.cache.slots",
        1000,
        "How many consumers may have an incremental fetch session; 0 gives nobody one.",
        high=1_000_000,
    )
    socket_request_max_bytes = Number(
        "socket.request.max.bytes",
        100 * MIB,
        "The largest request; a larger one closes its connection.",
        low=1024,
        high=INT_MAX,
        unit="bytes",
    )
    queued_max_request_bytes = Number(
        "queued.max.request.bytes", 256 * MIB, "The most bytes of requests in work; beyond it no socket is read.", low=MIB, unit="bytes"
    )
    ev_request_stall_ms = Number(
        "ev.request.stall.ms",
        30 * SECOND_MS,
        "A request that has begun to arrive must end, or bring another 64 KiB, in this time, or its connection is closed.",
        low=100,
        unit="ms",
    )
    max_connections = Number(
        "max.connections", INT_MAX, "The most connections at a time; the limit on open files bounds it too.", low=1, high=INT_MAX
    )
    max_connections_per_ip = Number(
        "max.connections.per.ip", INT_MAX, "The most connections of one address; 0 where only overrides count.", high=INT_MAX
    )
    max_connections_per_ip_overrides = Counts(
        "max.connections.per.ip.overrides", {}, "The most connections of some addresses: 10.0.0.1:100,10.0.0.2:5."
    )
    max_connection_creation_rate = Number(
        "max.connection.creation.rate",
        INT_MAX,
        "The most new connections in a second; what comes faster is served later.",
        low=1,
        high=INT_MAX,
        unit="connections per second",
    )
    connections_max_idle_ms = Number(
        "connections.max.idle.ms",
        10 * MINUTE_MS,
        "A connection that has been silent for this long is closed; -1 never does.",
        low=-1,
        unit="ms",
    )

    # ---- who may do what
    authorizer_class_name = Choice(
        "authorizer.class.name",
        "",
        "Kafka's name for the authorizer: whether what clients ask for is checked against ACLs. Nothing: everybody may do everything.",
        choices=("", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    )
    super_users = Principals("super.users", (), "Who may do everything, whatever the ACLs say: User:alice;User:bob.")
    allow_everyone_if_no_acl_found = Switch(
        "allow.everyone.if.no.acl.found", False, "Whether everybody may use a resource that no ACL is about."
    )

    # ---- listeners and who their clients are; with listener.name.<name>. before its name a setting counts for one listener
    listeners = Words("listeners", (), "Where the engine listens, NAME://HOST:PORT each; --listen comes before it.")
    advertised_listeners = Words("advertised.listeners", (), "What clients of a listener are told, NAME://HOST:PORT each.")
    listener_security_protocol_map = Words(
        "listener.security.protocol.map", (), "The security protocols of listeners that are not named after theirs, NAME:PROTOCOL each."
    )
    ssl_keystore_type = Choice("ssl.keystore.type", "PEM", "The form of the server's certificate and key.", choices=("PEM",))
    ssl_keystore_location = Text("ssl.keystore.location", "", "The file with the server's key and its certificate chain.")
    ssl_keystore_certificate_chain = Text(
        "ssl.keystore.certificate.chain", "", "The certificate chain, or the file that it is in, where the keystore has no location."
    )
    ssl_keystore_key = Secret("ssl.keystore.key", "", "The key, or the file that it is in, where the keystore has no location.")
    ssl_key_password = Secret("ssl.key.password", "", "The password of the server's key, if it is encrypted.")
    ssl_truststore_type = Choice(
        "ssl.truststore.type", "PEM", "The form of the certificates that clients' are checked with.", choices=("PEM",)
    )
    ssl_truststore_location = Text("ssl.truststore.location", "", "The file with the certificates that clients' are checked with.")
    ssl_client_auth = Choice(
        "ssl.client.auth",
        "none",
        "Whether a client has to show a certificate, is asked for one, or is not.",
        choices=("none", "requested", "required"),
    )
    ssl_enabled_protocols = Words(
        "ssl.enabled.protocols", ("TLSv1.2", "TLSv1.3"), "The versions of TLS that are spoken.", choices=("TLSv1.2", "TLSv1.3")
    )
    ssl_principal_mapping_rules = Text(
        "ssl.principal.mapping.rules", "DEFAULT", "How the name in a client's certificate becomes the name of a user."
    )
    sasl_enabled_mechanisms = Words(
        "sasl.enabled.mechanisms",
        ("SCRAM-SHA-256", "SCRAM-SHA-512"),
        "The SASL mechanisms that a client may choose from.",
        choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
    )
    sasl_server_max_receive_size = Number(
        "sasl.server.max.receive.size", 64 * KIB, "The largest request before authentication.", low=1024, high=MIB, unit="bytes"
    )
    sasl_oauthbearer_jwks_endpoint_url = Text(
        "sasl.oauthbearer.jwks.endpoint.url", "", "The file with the keys that tokens are signed with, file:///PATH."
    )
    sasl_oauthbearer_expected_audience = Words("sasl.oauthbearer.expected.audience", (), "A token has to be meant for one of these.")
    sasl_oauthbearer_expected_issuer = Text("sasl.oauthbearer.expected.issuer", "", "Who has to have issued a token.")
    sasl_oauthbearer_sub_claim_name = Text("sasl.oauthbearer.sub.claim.name", "sub", "The claim that holds the name of the user.")
    sasl_oauthbearer_clock_skew_seconds = Number(
        "sasl.oauthbearer.clock.skew.seconds",
        30,
        "How far the clock of a token's issuer may differ from ours.",
        high=3600,
        unit="seconds",
    )
    connections_max_reauth_ms = Number(
        "connections.max.reauth.ms",
        0,
        "How long a client that authenticated with SASL is served before it has to do so again; 0 is for ever.",
        unit="ms",
    )
    connection_failed_authentication_delay_ms = Number(
        "connection.failed.authentication.delay.ms",
        100,
        "How long after a failed attempt to authenticate its connection is closed.",
        high=10 * SECOND_MS,
        unit="ms",
    )

    # ---- quotas
    quota_window_num = Number("quota.window.num", 11, "Over how many windows the rates of clients are measured.", low=1, high=10_000)
    quota_window_size_seconds = Number(
        "quota.window.size.seconds", 1, "How long each of these windows is.", low=1, high=86_400, unit="seconds"
    )
    controller_quota_window_num = Number(
        "controller.quota.window.num", 11, "For how many windows a client may save up topics to create and delete.", low=1, high=10_000
    )
    controller_quota_window_size_seconds = Number(
        "controller.quota.window.size.seconds", 1, "How long each of these windows is.", low=1, high=86_400, unit="seconds"
    )
