"""Last wills: checked when they are left, and again when they are published."""

from typing import TYPE_CHECKING

from thingstead.kernel.errors import ThingsteadError
from thingstead.transports.mqtt.carrying import Message, carry_out, check_address
from thingstead.transports.mqtt.codec import Will
from thingstead.transports.mqtt.topics import TopicRefusedError, parse_topic

if TYPE_CHECKING:
    from thingstead.transports.mqtt.broker import Broker
    from thingstead.transports.mqtt.client import Identity


async def check_will(broker: "Broker", identity: "Identity", will: Will, address: str) -> None:
    """Raise what would keep the will from being published now.

    Raises:
        TopicRefusedError: its topic addresses nothing.
        ThingsteadError: its topic belongs to no thing that this client may write to.
    """
    await check_address(broker, identity, parse_topic(will.topic), address)


async def publish_will(broker: "Broker", identity: "Identity", will: Will, address: str) -> None:
    """Publish the will, unless its right has ended meanwhile; what fails is logged."""
    try:
        message = Message(will.topic, will.payload)
        # One that is not allowed now is dropped: wills that wait would fill the memory of the
        # server, because a client can leave another one with each connection.
        await carry_out(broker, identity, message, address, waits_for_rate=False)
    except (ThingsteadError, TopicRefusedError) as error:
        broker.note_refusal(None, error.code if isinstance(error, ThingsteadError) else "topic")
