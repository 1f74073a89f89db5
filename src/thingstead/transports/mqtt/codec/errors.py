"""The one error that decoding raises."""


class MQTTProtocolError(Exception):
    """What was received is not MQTT, or over a limit; the connection has to end.

    `reason`: the MQTT 5 reason code (`reasons.Reason`) for the CONNACK or DISCONNECT. The
    text says what is wrong and which limit it met. It never quotes what was received,
    because topics and user names hold tokens.
    """

    def __init__(self, reason: int, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
