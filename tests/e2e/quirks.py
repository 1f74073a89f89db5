"""What clients in the field send, one row per quirk; read by `test_clients_in_the_field.py`.

The bytes are written from the descriptions in `thethings-v2.md` (the section, or the client
that it names, is each row's `source`). `@TOKEN@`, `@CODE@`, `@PRODUCT@` and `@LENGTH@` are filled
in; `@LENGTH@` is the length of what follows the head's empty line. The field tested holds the
resources `led` ("ON") and `count` (1 to 3, one a minute from 2026-01-31 08:00 on).
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from support.wire import Answer

Check = Callable[[Answer], object]

WRITE = '{"values":[{"key":"q","value":1}]}'
_DATED = rb'\[\{"datetime":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","key":"%s","value":%s\}\]'


@dataclass(frozen=True)
class Quirk:
    """`pieces` go out apart; `stored` is what the resource `q` must hold afterwards."""

    name: str
    source: str
    pieces: tuple[bytes, ...]
    check: Check
    stored: object = None
    closes: bool = False


def one(text: str, *, end: str = "\r\n") -> tuple[bytes, ...]:
    """A request in one piece; `text` has a line feed at each line's end."""
    return (_bytes(text, end),)


def by_byte(text: str, *, end: str = "\r\n") -> tuple[bytes, ...]:
    """Cut after each byte."""
    return (b"BY BYTE", _bytes(text, end))


def _bytes(text: str, end: str) -> bytes:
    head, _, body = text.partition("\n\n")
    return (head + "\n\n").replace("\n", end).encode() + body.encode()


def status(code: int) -> Check:
    return lambda got: got.status == code


def created(got: Answer) -> bool:
    return (got.status, got.body) == (201, b'{"status":"created","message":"created"}')


def last(key: bytes, value: bytes) -> Check:
    """The answer is an array of one, its value the last member before the brace."""
    return lambda got: got.status == 200 and re.fullmatch(_DATED % (key, value), got.body)


def values_are(*expected: object) -> Check:
    return lambda got: [item["value"] for item in got.json] == list(expected)


def arduino_token(got: Answer) -> bool:
    """The library skips to the first brace and cuts 43 characters after `thingToken":"`."""
    text = (got.head + got.body).decode()
    line = text[text.index("{") + 1 :].split("\n")[0]
    start = line.index('thingToken":"') + len('thingToken":"')
    token, following = line[start : start + 43], line[start + 43]
    return re.fullmatch(r"[\w-]{43}", token) is not None and following == '"'


def arduino_date(form: str) -> Check:
    """The library takes what stands between the last `value":` and the last `]`, less one."""

    def check(got: Answer) -> object:
        text = (got.head + got.body).decode()
        return re.fullmatch(form, text[text.rindex('value":') + 7 : text.rindex("]") - 1])

    return check


def python_parses(got: Answer) -> object:
    form = "%Y-%m-%dT%H:%M:%S.%fZ"
    return datetime.strptime(got.json[0]["datetime"], form).replace(tzinfo=UTC)


def python_library_404(got: Answer) -> bool:
    return f"HTTP Error {got.status}: {got.reason}" == "HTTP Error 404: Not Found"


def texas_instruments(got: Answer) -> bool:
    return (
        got.status in {200, 201}
        and got.get("Content-Type") == "application/json"
        and got.get("Content-Length") == str(len(got.body))
    )


def lua_switches_on(got: Answer) -> bool:
    return '"VALUE":"ON"}' in got.body.decode().upper().replace(" ", "")


def cors(got: Answer) -> bool:
    return got.get("Access-Control-Allow-Origin") == "*"


def preflight(got: Answer) -> bool:
    methods = (got.get("Access-Control-Allow-Methods") or "").split(", ")
    headers = (got.get("Access-Control-Allow-Headers") or "").split(", ")
    return (
        got.status in {200, 204}
        and cors(got)
        and {"GET", "POST", "PUT", "DELETE", "OPTIONS"} <= set(methods)
        and {"Content-Type", "Accept", "Authorization"} <= set(headers)
    )


_LF_WRITE = (
    "POST /v2/things/@TOKEN@ HTTP/1.1\nHost: api.thethings.io\nConnection: close\n"
    "Content-Type: application/json\nContent-Length: @LENGTH@\n\n" + WRITE
)
_PLAIN_WRITE = (
    "POST /v2/things/@TOKEN@ HTTP/1.1\nHost: api.thethings.io\n"
    "Content-Type: application/json\nContent-Length: @LENGTH@\n\n" + WRITE
)
_READ = "GET /v2/things/@TOKEN@/resources/led{} HTTP/1.1\nHost: api.thethings.io\n\n"
_FORM_HEAD = (
    "POST /v2/things/@TOKEN@ HTTP/1.1\nHost: h\nContent-Length: @LENGTH@\n"
    "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\n\n"
)
_MSGPACK = msgspec.msgpack.encode({"values": [{"key": "q", "value": 21.5}]})
_ON = last(b"led", b'"ON"')

REQUESTS = [
    Quirk("bare LF, closing", "Arduino library", one(_LF_WRITE, end="\n"), created, 1, closes=True),
    Quirk("bare LF, one byte at a time", "Arduino", by_byte(_LF_WRITE, end="\n"), created, 1, True),
    Quirk(
        "bare LF with line feeds after the body",
        "ESP8266 C library",
        (*one(_PLAIN_WRITE, end="\n"), b"\n\n"),
        created,
        1,
    ),
    Quirk(
        "bare LF, a line a piece",
        "ESP8266 Lua",
        (
            b"GET /v2/things/@TOKEN@/resources/led HTTP/1.1\n",
            b"Host: api.thethings.io\n",
            b"Accept: application/json\n\n",
        ),
        _ON,
    ),
    Quirk(
        "bare LF read",
        "TI library",
        one("GET /v2/things/@TOKEN@/resources/led?limit=1 HTTP/1.1\nHost: h\n\n", end="\n"),
        texas_instruments,
    ),
    Quirk(
        "answer to a write",
        "TI library: 200 or 201, exact type, length",
        one(_PLAIN_WRITE),
        texas_instruments,
        1,
    ),
    Quirk("one byte at a time", "any microcontroller", by_byte(_PLAIN_WRITE), created, 1),
    Quirk(
        "head and body apart",
        "Arduino: one print a line",
        (_bytes(_PLAIN_WRITE.partition("\n\n")[0] + "\n\n", "\r\n"), WRITE.encode()),
        created,
        1,
    ),
    Quirk(
        "CRLF after the body",
        "older browsers, RFC 9112 2.2",
        (*one(_PLAIN_WRITE), b"\r\n"),
        created,
        1,
    ),
    Quirk("empty lines first", "RFC 9112 2.2", (b"\r\n\r\n", *one(_PLAIN_WRITE)), created, 1),
    Quirk(
        "HTTP/1.0",
        "SIM800 modems",
        one(
            "POST /v2/things/@TOKEN@ HTTP/1.0\nContent-Length: @LENGTH@\n\n" + WRITE,
        ),
        created,
        1,
        closes=True,
    ),
    Quirk(
        "HTTP/1.0 that keeps alive",
        "SIM800 modems",
        one(_READ.format("").replace("1.1", "1.0").replace("\n\n", "\nConnection: keep-alive\n\n")),
        lambda got: _ON(got) and got.get("Connection") == "keep-alive",
    ),
    Quirk(
        "absolute-form target",
        "GSM modems by proxy",
        one(_READ.format("").replace(" /v2", " http://api.thethings.io/v2", 1)),
        _ON,
    ),
    Quirk("another Host", "§2.1", one(_READ.format("").replace("api.t", "0x7f.1:99?t")), _ON),
    Quirk("no Host", "old C clients", one(_READ.format("").replace("Host:", "X:")), _ON),
    Quirk(
        "protobuf host",
        "Arduino ProtocolBuffer example",
        one(_READ.format("").replace("api.thethings.io", "protobuf.thethings.io")),
        _ON,
    ),
    Quirk("slash at the end", "Imp, python library", one(_READ.format("/?limit=1")), _ON),
    Quirk(
        "double slash",
        "ferranpm/thethingsio-js",
        one(_READ.format("?limit=1").replace("/v2/things", "/v2//things")),
        _ON,
    ),
    Quirk("dangling question mark", "JS SDK", one(_READ.format("?")), _ON),
    Quirk(
        "dangling question mark of a write",
        "JS SDK",
        one(_PLAIN_WRITE.replace("@TOKEN@", "@TOKEN@?")),
        created,
        1,
    ),
    Quirk(
        "no Content-Type",
        "ferranpm/thethingsio-js",
        one(_PLAIN_WRITE.replace("Content-Type: application/json\n", "")),
        created,
        1,
    ),
    Quirk(
        "curl's default Content-Type",
        "device-development",
        one(_PLAIN_WRITE.replace("application/json", "application/x-www-form-urlencoded")),
        created,
        1,
    ),
    Quirk(
        "chunked upload",
        "ferranpm/thethingsio-js (node)",
        (
            b"POST /v2//things/@TOKEN@ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"14\r\n" + WRITE[:20].encode() + b"\r\n",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(WRITE) - 20, WRITE[20:].encode()),
        ),
        created,
        1,
    ),
    Quirk(
        "form with brackets",
        "jQuery: Arduino TwoLeds",
        one(_FORM_HEAD + "values%5B0%5D%5Bkey%5D=q&values%5B0%5D%5Bvalue%5D=ON"),
        created,
        "ON",
    ),
    Quirk(
        "form with open brackets",
        "sonar page",
        one(_FORM_HEAD + "values[0][key]=q&values[0][value]=OFF"),
        created,
        "OFF",
    ),
    Quirk(
        "MessagePack",
        "Arduino MessagePack example",
        (
            b"POST /v2/things/@TOKEN@ HTTP/1.1\nHost: h\nConnection: close\n"
            b"Content-Type: application/msgpack\nContent-Length: %d\n\n" % len(_MSGPACK),
            _MSGPACK,
        ),
        created,
        21.5,
        closes=True,
    ),
    Quirk(
        "dollar percent-encoded",
        "§4",
        one("GET /v2/things/@TOKEN@/resources/%24geo HTTP/1.1\nHost: h\n\n"),
        lambda got: got.json == [{"key": "$geo", "value": None}],
    ),
    Quirk(
        "call from a browser",
        "TwoLeds/index.html",
        one(_PLAIN_WRITE.replace("Host", "Origin: null\nHost")),
        lambda got: created(got) and cors(got),
        1,
    ),
    Quirk(
        "preflight",
        "Ionic app",
        one(
            "OPTIONS /v2/things/@TOKEN@ HTTP/1.1\nHost: h\nOrigin: http://localhost:8100\n"
            "Access-Control-Request-Method: POST\n"
            "Access-Control-Request-Headers: content-type,authorization\n\n"
        ),
        preflight,
    ),
    Quirk(
        "error readable by a browser",
        "Ionic app",
        one("GET /v2/me/settings HTTP/1.1\nHost: h\nOrigin: null\n\n"),
        lambda got: got.status == 401 and cors(got),
    ),
    Quirk(
        "Connection: close",
        "Arduino library",
        one(_READ.format("").replace("\n\n", "\nConnection: close\n\n")),
        lambda got: _ON(got) and got.get("Connection") == "close",
        closes=True,
    ),
    Quirk(
        "limit of a thousand",
        "BeeGroup-cimne/theThingsApi",
        one(_READ.format("?limit=1000").replace("/led", "/count")),
        values_are(3, 2, 1),
    ),
    Quirk(
        "dates without separators",
        "BeeGroup-cimne/theThingsApi",
        one(
            _READ.format("?limit=1000&startDate=20260131080000&endDate=20260131080200").replace(
                "/led", "/count"
            )
        ),
        values_are(2, 1),
    ),
    Quirk(
        "dates of the python library",
        "thethings.iO-python-library",
        one(_READ.format("/?limit=9&startDate=2026-01-31T08:00:00.001Z").replace("/led", "/count")),
        values_are(3, 2),
    ),
    Quirk(
        "format behind a slash",
        "§3.10",
        one("GET /v2/utils/date/?format=unix_timestamp HTTP/1.1\nHost: h\n\n"),
        lambda got: isinstance(got.json[-1]["value"], int),
    ),
    Quirk(
        "date with the thing's token",
        "Arduino readTime",
        one(
            "GET /v2/utils/date?thingToken=@TOKEN@&format=UTC HTTP/1.1\nHost: h\n\n",
            end="\n",
        ),
        arduino_date(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"'),
    ),
    Quirk(
        "time stamp with the thing's token",
        "Arduino readTime",
        one(
            "GET /v2/utils/date?thingToken=@TOKEN@&format=unix_timestamp HTTP/1.1\nHost: h\n\n",
            end="\n",
        ),
        arduino_date(r"\d{10}"),
    ),
    Quirk(
        "a resource that was never written",
        "thethings.iO-python-library",
        one(_READ.format("/?limit=1").replace("/led", "/never")),
        python_library_404,
    ),
    Quirk(
        "date that Python parses",
        "thethings.iO-python-library, smarthydro",
        one(_READ.format("/?limit=1")),
        python_parses,
    ),
    Quirk(
        "position as texts",
        "thethings.iO-python-library",
        one(
            _PLAIN_WRITE.replace(
                '"value":1', '"value": 1, "geo": {"lat": "41.4121132", "long": "2.2199454"}'
            )
        ),
        created,
        1,
    ),
    Quirk(
        "date without a zone",
        "dario1985/thethingsio-python",
        one(_PLAIN_WRITE.replace('"value":1', '"value":1,"datetime":"2026-03-01T10:00:00.123456"')),
        created,
        1,
    ),
    Quirk(
        "NOW()",
        "Intel_Edison-examples",
        one(_PLAIN_WRITE.replace('"value":1', '"value":1,"datetime":"NOW()"')),
        created,
        1,
    ),
    Quirk(
        "unknown members",
        "old SDK examples",
        one(_PLAIN_WRITE.replace('"value":1', '"value":1,"units":"C","type":"temperature"')),
        created,
        1,
    ),
    Quirk(
        "a switch in upper case",
        "ESP8266 Lua",
        one(_READ.format("?limit=1")),
        lua_switches_on,
    ),
    Quirk(
        "broadcast",
        "lupyuen/thethingsio-wifi-geolocation",
        one(_PLAIN_WRITE.replace("@TOKEN@", "@TOKEN@?broadcast=true")),
        created,
        1,
    ),
    Quirk(
        "root of the API",
        "device-development",
        one("GET /v2/ HTTP/1.1\nHost: h\n\n"),
        lambda got: got.body == b'{"status":"error","code":401,"message":"Invalid session token"}',
    ),
    Quirk(
        "unknown member in the query",
        "browsers that defeat caches",
        one(_READ.format("?_=1519902000000")),
        _ON,
    ),
]


def _activation(body: str) -> str:
    return (
        "POST /v2/things/ HTTP/1.1\nHost: api.thethings.io\nConnection: close\n"
        f"Content-Type: application/json\nContent-Length: @LENGTH@\n\n{body}"
    )


def _made(got: Answer) -> bool:
    return got.status == 201 and got.json["status"] == "created" and arduino_token(got)


ACTIVATIONS = [
    Quirk(
        "blank before the first member, bare LF",
        "Arduino library",
        one(_activation('{ "activationCode":"@CODE@"}'), end="\n"),
        _made,
        closes=True,
    ),
    Quirk(
        "product as text",
        "Arduino library, newer",
        one(_activation('{ "activationCode":"@CODE@", "productId":"@PRODUCT@"}'), end="\n"),
        _made,
        closes=True,
    ),
    Quirk(
        "product as number",
        "device-development v3.3",
        one(_activation('{"activationCode":"@CODE@","productId":@PRODUCT@}')),
        _made,
        closes=True,
    ),
    Quirk(
        "refused activation",
        "JS SDK prints the message",
        one(_activation('{"activationCode":"NO-SUCH-CODE"}')),
        lambda got: (
            json.loads(got.body)
            == {"status": "error", "code": 400, "message": "Invalid activation code"}
        ),
        closes=True,
    ),
]
