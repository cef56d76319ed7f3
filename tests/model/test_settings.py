"""Settings: the table, the configuration file, the command line, and changes at run time."""

from __future__ import annotations

import pytest

from respbroker.errors import ReplyError
from respbroker.model.settings import (
    ALIASES,
    CONFIG_NAMES,
    PASSED_OVER,
    SETTINGS,
    OutputLimit,
    Settings,
    SettingsError,
)


def refusal_of(settings: Settings, *pairs: tuple[bytes, bytes]) -> str:
    with pytest.raises(ReplyError) as caught:
        settings.set_many(pairs)
    return caught.value.text


# -- the table ---------------------------------------------------------------------------------------------------


def test_defaults_are_those_of_redis_where_redis_has_them() -> None:
    settings = Settings()
    assert settings.port == 6379
    assert settings.databases == 16
    assert settings.appendfsync == "everysec"
    assert settings.maxclients == 10000
    assert settings.client_output_buffer_limit["pubsub"] == OutputLimit(33554432, 8388608, 60)
    assert settings.latency_tracking_info_percentiles == (50.0, 99.0, 99.9)
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize("name", SETTINGS)
def test_every_default_reads_back_from_its_own_text(name: str) -> None:
    row = SETTINGS[name]
    assert row.kind.parse(row.default_text, row.default) == row.default
    lines = [f"{name} {text}" for text, _ in row.kind.lines(row.default, row.default)]
    assert Settings.load("\n".join(lines)).get(name.encode()) == [(name, row.default_text)]


def test_every_setting_says_what_it_is_and_what_it_takes() -> None:
    for row in SETTINGS.values():
        assert row.summary.endswith("."), row.name
        assert row.section, row.name
        assert row.kind.describe(), row.name
        assert not PASSED_OVER.fullmatch(row.name), row.name


# -- configuration file and command line ---------------------------------------------------------------------------


def test_the_file_is_read_and_the_command_line_wins() -> None:
    settings = Settings.load("port 7000\nbind 127.0.0.1 ::1\nsegment.bytes 1mb\n", [("port", "7001"), ("HZ", "20")])
    assert (settings.port, settings.bind, settings.segment_bytes, settings.hz) == (
        7001,
        ("127.0.0.1", "::1"),
        1 << 20,
        20,
    )


def test_host_and_dashed_names_are_other_names_of_the_same_settings() -> None:
    settings = Settings.load("", [("host", "0.0.0.0"), ("segment-bytes", "2048")])
    assert (settings.bind, settings.segment_bytes) == (("0.0.0.0",), 2048)
    assert ALIASES["host"].name == "bind"


def test_lines_of_save_add_up_and_an_empty_one_takes_them_back() -> None:
    assert Settings.load("save 900 1\nsave 300 10 60 100\n").save == ((900, 1), (300, 10), (60, 100))
    assert Settings.load('save 900 1\nsave ""\n').save == ()
    assert Settings.load('save 900 1\nsave ""\nsave 5 6').save == ((5, 6),)


def test_lines_of_output_limits_change_one_class_each() -> None:
    limits = Settings.load(
        "client-output-buffer-limit normal 1kb 2 3\nclient-output-buffer-limit replica 4 5 6\n"
    ).client_output_buffer_limit
    assert limits["normal"] == OutputLimit(1024, 2, 3)
    assert limits["slave"] == OutputLimit(4, 5, 6)
    assert limits["pubsub"] == OutputLimit(33554432, 8388608, 60)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\nnope 1\n", "line 2: 'nope': no such setting"),
        ("port 1 2", "line 1: 'port': wrong number of arguments"),
        ("timeout", "line 1: 'timeout': wrong number of arguments"),
        ("timeout xx", "line 1: 'timeout': argument couldn't be parsed into an integer"),
        ("appendonly no", "line 1: 'appendonly': the log is the only store and is always on"),
        ("replicaof 127.0.0.1", "line 1: 'replicaof': wrong number of arguments"),
        ("slaveof a b c", "line 1: 'slaveof': wrong number of arguments"),
        ("replicaof 127.0.0.1 x", "line 1: 'replicaof': Invalid master port"),
        ("replicaof 127.0.0.1 65536", "line 1: 'replicaof': Invalid master port"),
        ("replica-read-only no", "line 1: 'replica-read-only': a follower has what its leader has, and nothing else"),
        ("min.insync.replicas 0", "line 1: 'min.insync.replicas': argument must be between 1 and 2147483647 inclusive"),
        ("acks 2", "line 1: 'acks': argument(s) must be one of the following: 1, all"),
        ("replica-prioritty 1", "line 1: 'replica-prioritty': no such setting"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(text)
    assert reason in str(caught.value)


def test_a_bad_option_is_named_as_it_was_given() -> None:
    with pytest.raises(SettingsError, match="option --Port: argument must be between 0 and 65535 inclusive"):
        Settings.load("", [("Port", "65536")])


def test_tuning_of_what_is_not_here_is_passed_over_and_told() -> None:
    settings = Settings.load("hash-max-listpack-entries 512\nrdbcompression yes\nlua-time-limit 5000\nport 7000\n")
    assert settings.passed_over == ["hash-max-listpack-entries", "rdbcompression", "lua-time-limit"]
    assert settings.port == 7000


@pytest.mark.parametrize(
    "name",
    [
        *(
            "repl-timeout",
            "repl-backlog-size",
            "repl-diskless-sync",
            "repl-ping-replica-period",
            "repl-ping-slave-period",
        ),
        *("replica-lazy-flush", "slave-lazy-flush", "replica-ignore-maxmemory", "repl-disable-tcp-nodelay"),
    ],
)
def test_how_redis_sends_to_its_replicas_is_passed_over(name: str) -> None:
    assert Settings.load(f"{name} 1\n").passed_over == [name]


@pytest.mark.parametrize(
    ("text", "leader"),
    [
        ("replicaof 10.0.0.1 7000", ("10.0.0.1", 7000)),
        ("replicaof NO ONE", None),
        ('replicaof ""', None),
        ("slaveof 10.0.0.1 7000\nreplicaof ::1 7001", ("::1", 7001)),
    ],
)
def test_the_leader_to_follow_is_a_host_and_a_port(text: str, leader: tuple[str, int] | None) -> None:
    assert Settings.load(text).replicaof == leader


def test_the_password_is_in_no_representation_and_no_refusal() -> None:
    settings = Settings.load('requirepass "opensesame"\n')
    assert settings.requirepass == "opensesame"
    assert "opensesame" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        Settings.load("requirepass open sesame\n")
    assert "sesame" not in str(caught.value)


def test_a_password_is_the_same_bytes_whichever_way_it_was_set() -> None:
    by_command = Settings()
    by_command.set_many([(b"requirepass", "caf\u00e9".encode())])
    assert Settings.load("requirepass caf\u00e9\n").requirepass == by_command.requirepass
    assert Settings.load(by_command.rewrite("")).requirepass == by_command.requirepass
    by_command.set_many([(b"requirepass", b"\xff\n\x00")])
    assert Settings.load(by_command.rewrite("")).requirepass == by_command.requirepass


# -- CONFIG GET and SET ------------------------------------------------------------------------------------------------


def test_get_takes_globs_and_echoes_a_plain_name_as_it_was_asked_for() -> None:
    settings = Settings()
    assert settings.get(b"MaxClients") == [("MaxClients", "10000")]
    assert settings.get(b"stream-node-*") == [("stream-node-max-bytes", "4096"), ("stream-node-max-entries", "100")]
    assert settings.get(b"nope", b"*nope*") == []
    assert len(settings.get(b"*", b"port")) == len(CONFIG_NAMES)


def test_names_of_older_versions_are_names_of_the_same_settings() -> None:
    settings = Settings.load("slaveof 10.0.0.1 7000\nslave-read-only yes\n", [("slave-priority", "5")])
    assert (settings.replicaof, settings.replica_priority) == (("10.0.0.1", 7000), 5)
    assert settings.set_many([(b"Slave-Priority", b"50")]) == ["replica_priority"]
    assert settings.get(b"replica-priority", b"SLAVE-priority") == [
        ("replica-priority", "50"),
        ("SLAVE-priority", "50"),
    ]
    assert settings.get(b"slaveo*") == [("slaveof", "10.0.0.1 7000")]
    refusal = refusal_of(settings, (b"slave-priority", b"1"), (b"replica-priority", b"2"))
    assert refusal.endswith("'replica-priority') - duplicate parameter")


def test_set_changes_all_of_the_pairs_or_none() -> None:
    settings = Settings()
    assert settings.set_many([(b"TIMEOUT", b"5"), (b"maxmemory", b"1gb"), (b"hz", b"10")]) == ["timeout", "maxmemory"]
    assert (settings.timeout, settings.maxmemory) == (5, 1 << 30)
    refusal_of(settings, (b"timeout", b"6"), (b"maxclients", b"0"))
    assert settings.timeout == 5


def test_settings_of_one_node_are_not_those_of_another() -> None:
    one, other = Settings(), Settings()
    one.set_many([(b"client-output-buffer-limit", b"normal 1 2 3")])
    assert other.client_output_buffer_limit["normal"] == OutputLimit(0, 0, 0)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (b"maxclients", b"0", "argument must be between 1 and 4294967295 inclusive"),
        (b"maxclients", b"05", "argument couldn't be parsed into an integer"),
        (b"maxmemory", b"1zb", "argument must be a memory value"),
        (b"maxmemory", b"-1", "argument must be a memory value"),
        (b"appendfsync", b"never", "argument(s) must be one of the following: everysec, always, no"),
        (b"protected-mode", b"", "argument must be 'yes' or 'no'"),
        (b"databases", b"3", "can't set immutable config"),
        (b"replicaof", b"127.0.0.1 6380", "can't set immutable config"),
        (b"replica-announce-port", b"70000", "argument must be between 0 and 65535 inclusive"),
        (b"replica-announce-ip", b"10.0.0.1 7000", "argument must be the name or the IP address of a host"),
        (b"replica-announce-ip", b"one,port=1", "argument must be the name or the IP address of a host"),
        (b"replica-announce-ip", "höst".encode(), "argument must be the name or the IP address of a host"),
        (b"replica-priority", b"-1", "argument must be between 0 and 2147483647 inclusive"),
        (b"dir", b"/", "can't set protected config"),
        (b"save", b"900", "Invalid save parameters"),
        (b"save", b"0 1", "Invalid save parameters"),
        (b"save", b"1 -1", "Invalid save parameters"),
        (b"notify-keyspace-events", b"q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        (b"client-output-buffer-limit", b"normal 0 0", "Wrong number of arguments in buffer limit configuration."),
        (
            b"client-output-buffer-limit",
            b"foo 1 2 3",
            "Invalid client class specified in buffer limit configuration.",
        ),
        (
            b"client-output-buffer-limit",
            b"normal -1 0 0",
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
        (b"latency-tracking-info-percentiles", b"x", "Invalid latency-tracking-info-percentiles parameters"),
        (
            b"latency-tracking-info-percentiles",
            b"101",
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
        ),
        (
            b"maxmemory-policy",
            b"x",
            "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, "
            "allkeys-lru, allkeys-lfu, allkeys-random, noeviction",
        ),
    ],
)
def test_refusals_are_in_the_words_of_redis(name: bytes, value: bytes, reason: str) -> None:
    refusal = refusal_of(Settings(), (name, value))
    assert refusal == f"CONFIG SET failed (possibly related to argument '{name.decode()}') - {reason}"


@pytest.mark.parametrize("host", ["", "10.0.0.1", "fe80::1%eth0", "redis-0.redis_headless.svc"])
def test_an_address_to_be_found_at_is_taken_under_both_names(host: str) -> None:
    settings = Settings()
    settings.set_many([(b"slave-announce-ip", host.encode())])
    assert settings.replica_announce_ip == host


@pytest.mark.parametrize("name", ["replica-announce-ip", "slave-announce-ip"])
def test_a_start_refuses_an_address_that_is_none(name: str) -> None:
    with pytest.raises(SettingsError, match="must be the name or the IP address of a host"):
        Settings.load("", [(name, "10.0.0.1 ")])


def test_an_unknown_name_and_a_name_said_twice_are_refused() -> None:
    settings = Settings()
    assert refusal_of(settings, (b"hz", b"1"), (b"Nope", b"1")).endswith("for CONFIG SET - 'Nope'")
    assert refusal_of(settings, (b"hz", b"1"), (b"HZ", b"2")).endswith("'HZ') - duplicate parameter")


@pytest.mark.parametrize(
    ("name", "value", "reads"),
    [
        (b"hz", b"10000", "500"),
        (b"hz", b"0", "1"),
        (b"maxmemory", b"100MB", "104857600"),
        (b"maxmemory", b"1k", "1000"),
        (b"appendfsync", b"ALWAYS", "always"),
        (b"notify-keyspace-events", b"KEA", "AKE"),
        (b"notify-keyspace-events", b"Kgxt", "gxtK"),
        (b"notify-keyspace-events", b"KEg$lshzxetd", "AKE"),
        (b"latency-tracking-info-percentiles", b"50.0 99.990", "50 99.99"),
        (b"latency-tracking-info-percentiles", b"", ""),
        (b"save", b"900 1  300 10", "900 1 300 10"),
        (b"save", b"", ""),
        (b"slowlog-log-slower-than", b"-1", "-1"),
    ],
)
def test_values_are_shown_in_their_canonical_form(name: bytes, value: bytes, reads: str) -> None:
    settings = Settings()
    settings.set_many([(name, value)])
    assert settings.get(name) == [(name.decode(), reads)]


# -- CONFIG REWRITE ----------------------------------------------------------------------------------------------


def test_a_rewritten_file_gives_the_same_settings_and_keeps_what_people_wrote() -> None:
    text = '# mine\nport 7000\nsave 900 1\nsave 300 10\nhash-max-listpack-entries 5\nrequirepass "a b"\n'
    settings = Settings.load(text, [("hz", "20")])
    settings.set_many(
        [
            (b"save", b"60 5"),
            (b"requirepass", b'x"\\\ny'),
            (b"client-output-buffer-limit", b"pubsub 1mb 5 6"),
            (b"notify-keyspace-events", b"KEA"),
            (b"latency-tracking-info-percentiles", b""),
        ]
    )
    rewritten = settings.rewrite(text)
    assert rewritten.startswith('# mine\nport 7000\nsave 60 5\n\nhash-max-listpack-entries 5\nrequirepass "x\\"')
    again = Settings.load(rewritten)
    assert dict(again.get(b"*")) == dict(settings.get(b"*"))
    assert again.rewrite(rewritten) == rewritten


def test_a_leader_followed_no_more_is_in_no_line_of_the_rewritten_file() -> None:
    """Else the server would follow again after its next start."""
    text = "slaveof 10.0.0.1 7000\nport 7001\n"
    settings = Settings.load(text)
    settings.replicaof = ("10.0.0.2", 7000)
    assert settings.rewrite(text) == "replicaof 10.0.0.2 7000\nport 7001\n"
    settings.replicaof = None
    assert Settings.load(settings.rewrite(text)).replicaof is None
    assert "port 7001" in settings.rewrite(text)
