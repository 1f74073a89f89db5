"""Settings: which source wins, and what stops the start."""

from pathlib import Path

import pytest

from thingstead.limit_settings import LimitSettings
from thingstead.settings import Settings, SettingsError, load_settings


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def load(folder, text=None, environment=None, **flags):
    if text is not None:
        (folder / "thingstead.toml").write_text(text, "utf-8")
    return load_settings({"data": str(folder), **flags}, environment or {})


def test_without_any_source_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    settings = load_settings({}, {})

    assert settings == Settings()
    assert settings.data_folder == Path("./thingstead-data")
    assert settings.limits == LimitSettings()


def test_the_file_is_over_the_defaults(folder):
    assert load(folder, "port = 8001").port == 8001


def test_the_environment_is_over_the_file(folder):
    settings = load(folder, 'port = 8001\nhost = "::"', {"THINGSTEAD_PORT": "8002"})

    assert (settings.port, settings.host) == (8002, "::")


def test_the_command_line_is_over_the_environment(folder):
    settings = load(folder, "port = 8001", {"THINGSTEAD_PORT": "8002"}, port=8003)

    assert settings.port == 8003


def test_a_flag_that_was_not_given_leaves_the_others_alone(folder):
    assert load(folder, "port = 8001", port=None, demo=None).port == 8001


def test_limits_of_several_sources_are_merged_one_by_one(folder):
    settings = load(
        folder,
        "[limits]\nvalues_per_write = 10\nvalue_bytes = 20",
        {"THINGSTEAD_LIMITS_VALUE_BYTES": "30"},
    )

    assert settings.limits.values_per_write == 10
    assert settings.limits.value_bytes == 30
    assert settings.limits.headers == LimitSettings().headers


def test_the_data_folder_named_by_the_environment_holds_the_file(folder):
    (folder / "thingstead.toml").write_text("port = 8001")

    settings = load_settings({}, {"THINGSTEAD_DATA": str(folder)})

    assert (settings.port, settings.data_folder) == (8001, folder)


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("1", True), ("false", False), ("0", False)]
)
def test_a_switch_in_the_environment_is_a_word_or_a_digit(folder, text, expected):
    assert load(folder, environment={"THINGSTEAD_DEMO": text}).demo is expected


def test_proxies_in_the_environment_are_separated_by_commas(folder):
    settings = load(folder, environment={"THINGSTEAD_TRUSTED_PROXY": "10.0.0.0/8, ::1,,"})

    assert settings.trusted_proxy == ("10.0.0.0/8", "::1")


def test_proxies_in_the_file_are_a_list(folder):
    assert load(folder, 'trusted_proxy = ["::1"]').trusted_proxy == ("::1",)


@pytest.mark.parametrize("name", ["PATH", "THINGSTEAD", "thingstead_port", "OTHER_THINGSTEAD_PORT"])
def test_other_programs_variables_are_ignored(folder, name):
    assert load(folder, environment={name: "x"}) == Settings(data=str(folder))


def test_the_test_suite_s_variables_are_ignored(folder):
    assert load(folder, environment={"THINGSTEAD_TEST_REQUIRE": "1"}).port == 8000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "8000"),
        ("SERVICE_PORT_HTTP", "8000"),
        ("PORT", "tcp://10.0.0.1:8000"),
        ("PORT", "udp://10.0.0.1:8000"),
        ("PORT", "sctp://10.0.0.1:8000"),
        ("PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("PORT_8000_TCP_PROTO", "tcp"),
        ("PORT_8000_TCP_PORT", "8000"),
        ("PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("PORT_53_UDP", "udp://10.0.0.1:53"),
    ],
)
def test_what_kubernetes_says_of_a_service_of_our_name_is_ignored(folder, name, text):
    settings = load(folder, "port = 8001", {f"THINGSTEAD_{name}": text})

    assert settings == Settings(data=str(folder), port=8001)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SERVICE", "x"),
        ("SERVICES_HOST", "x"),
        ("PORT_", "x"),
        ("PORT_8000", "8000"),
        ("PORT_HTTP_TCP", "8000"),
        ("PORTS", "tcp://10.0.0.1:8000"),
        ("PORT", "tcp:8000"),
        ("PORT", "http://10.0.0.1:8000"),
        ("LIMITS_SERVICE_HOST", "x"),
    ],
)
def test_what_only_resembles_a_variable_of_kubernetes_stops_the_start(folder, name, text):
    with pytest.raises(SettingsError, match=f"THINGSTEAD_{name}: "):
        load(folder, environment={f"THINGSTEAD_{name}": text})


def test_the_name_of_a_variable_of_kubernetes_is_unknown_in_the_file(folder):
    with pytest.raises(SettingsError, match="service_host: there is no such setting"):
        load(folder, 'service_host = "10.0.0.1"')


@pytest.mark.parametrize(
    ("text", "environment", "name"),
    [
        ("prot = 1", {}, "prot"),
        ("[limits]\nheader = 1", {}, "limits.header"),
        ("[server]\nport = 1", {}, "server"),
        (None, {"THINGSTEAD_PROT": "1"}, "prot"),
        (None, {"THINGSTEAD_LIMITS_HEADER": "1"}, "limits.header"),
    ],
)
def test_an_unknown_name_stops_the_start(folder, text, environment, name):
    with pytest.raises(SettingsError, match=f"{name}: there is no such setting"):
        load(folder, text, environment)


def test_an_unknown_flag_stops_the_start(folder):
    with pytest.raises(SettingsError, match="prot: there is no such setting"):
        load(folder, prot=1)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('port = "http"', "port"),
        ("port = 65536", "port"),
        ("port = -1", "port"),
        ("port = 1.5", "port"),
        ("host = 5", "host"),
        ('demo = "perhaps"', "demo"),
        ('log_level = "loud"', "log_level"),
        ("retention_days = -1", "retention_days"),
        ('trusted_proxy = "::1"', "trusted_proxy"),
        ("limits = 5", "limits"),
        ("[limits]\nheaders = 0", "limits.headers"),
        ("[limits]\nheaders = 2147483649", "limits.headers"),
        ("[limits]\nhead_seconds = 86401", "limits.head_seconds"),
    ],
)
def test_a_value_that_does_not_fit_stops_the_start(folder, text, name):
    with pytest.raises(SettingsError, match=f"{name}: "):
        load(folder, text)


@pytest.mark.parametrize("port", [0, 65_535])
def test_a_port_may_be_at_either_end_of_its_range(folder, port):
    assert load(folder, f"port = {port}").port == port


@pytest.mark.parametrize(
    ("text", "environment", "source"),
    [
        ("port = -1", {}, "thingstead.toml"),
        ("prot = 1", {}, "thingstead.toml"),
        (None, {"THINGSTEAD_PORT": "-1"}, "THINGSTEAD_PORT"),
        (None, {"THINGSTEAD_LIMITS_HEADER": "1"}, "THINGSTEAD_LIMITS_HEADER"),
    ],
)
def test_a_wrong_setting_is_reported_with_its_source(folder, text, environment, source):
    with pytest.raises(SettingsError, match=source):
        load(folder, text, environment)


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port = 1\nport = 2"])
def test_a_file_that_cannot_be_read_stops_the_start_with_its_name(folder, content):
    (folder / "thingstead.toml").write_bytes(content)

    with pytest.raises(SettingsError, match=r"thingstead\.toml"):
        load(folder)


def test_a_folder_in_the_file_s_place_stops_the_start(folder):
    (folder / "thingstead.toml").mkdir()

    with pytest.raises(SettingsError, match=r"thingstead\.toml"):
        load(folder)


@pytest.mark.parametrize("given", [{"tls_cert": "a.pem"}, {"tls_key": "a.key"}])
def test_certificate_and_key_go_together(folder, given):
    with pytest.raises(SettingsError, match="tls_cert and tls_key go together"):
        load(folder, **given)


def test_a_certificate_with_its_key_is_accepted(folder):
    assert load(folder, tls_cert="a.pem", tls_key="a.key").tls_key == "a.key"


CONTRADICTIONS = [("waiting_values", "values_per_write")]


@pytest.mark.parametrize(("larger", "smaller"), CONTRADICTIONS)
def test_limits_that_contradict_each_other_stop_the_start_with_both_names(folder, larger, smaller):
    environment = {
        f"THINGSTEAD_LIMITS_{larger.upper()}": "9",
        f"THINGSTEAD_LIMITS_{smaller.upper()}": "10",
    }

    with pytest.raises(SettingsError, match=rf"{larger} \(9\).*{smaller} \(10\)"):
        load(folder, environment=environment)


@pytest.mark.parametrize(("larger", "smaller"), CONTRADICTIONS)
def test_a_limit_may_be_as_large_as_the_one_it_contains(folder, larger, smaller):
    settings = load(folder, f"[limits]\n{larger} = 10\n{smaller} = 10")

    assert (getattr(settings.limits, larger), getattr(settings.limits, smaller)) == (10, 10)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("waiting_values = 999", ("waiting_values", "values_per_write")),
        ("values_per_write = 10_001", ("waiting_values", "values_per_write")),
    ],
)
def test_a_limit_may_not_contradict_a_default_either(folder, text, names):
    with pytest.raises(SettingsError, match=".*".join(names)):
        load(folder, f"[limits]\n{text}")


def test_limits_of_different_sources_may_not_contradict_each_other(folder):
    with pytest.raises(SettingsError, match=r"waiting_values \(9\).*values_per_write \(10\)"):
        load(
            folder,
            "[limits]\nvalues_per_write = 10",
            {"THINGSTEAD_LIMITS_WAITING_VALUES": "9"},
        )


@pytest.mark.parametrize(
    ("settings", "sender"),
    [
        (Settings(public_url="https://things.example.org/"), "thingstead@things.example.org"),
        (Settings(), "thingstead@localhost"),
        (Settings(host="192.0.2.1"), "thingstead@192.0.2.1"),
        (Settings(host="::1"), "thingstead@localhost"),
    ],
)
def test_mails_come_from_the_host_that_clients_know(settings, sender):
    assert settings.default_sender == sender
