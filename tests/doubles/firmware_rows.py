"""What the stores of firmware, updates and campaigns share, in memory."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from thingstead.features.campaigns.model import Campaign
from thingstead.features.firmware.model import Firmware, Running, SigningKey, Update, UpdateEvent
from thingstead.kernel.ids import CampaignId, FirmwareId, ProductId, ThingId

TIMELINE = 200


@dataclass(slots=True)
class FirmwareRows:
    """The rows; firmwares, keys and campaigns in the order of their making."""

    firmwares: dict[FirmwareId, Firmware] = field(default_factory=dict)
    keys: dict[tuple[ProductId, str], SigningKey] = field(default_factory=dict)
    need_signature: set[ProductId] = field(default_factory=set)
    updates: dict[tuple[ThingId, FirmwareId], Update] = field(default_factory=dict)
    running: dict[tuple[ThingId, str], Running] = field(default_factory=dict)
    timelines: dict[ThingId, list[tuple[int, UpdateEvent]]] = field(default_factory=dict)
    campaigns: dict[CampaignId, Campaign] = field(default_factory=dict)
    actions: int = 0

    def put_new(self, update: Update) -> Update:
        """Store an update that was not there, with the next action."""
        self.actions += 1
        return self.put(replace(update, action=self.actions))

    def put(self, update: Update) -> Update:
        """Store the update with its next revision."""
        stored = replace(update, revision=update.revision + 1)
        self.updates[update.thing_id, update.firmware_id] = stored
        return stored

    def note(self, events: Iterable[UpdateEvent]) -> None:
        """Append to the timelines, of which the newest entries are kept."""
        for event in events:
            timeline = self.timelines.setdefault(event.thing_id, [])
            timeline.append((timeline[-1][0] + 1 if timeline else 1, event))
            del timeline[:-TIMELINE]

    def drop_thing(self, thing_id: ThingId) -> None:
        """Forget all about a thing that is deleted."""
        for rows in (self.updates, self.running):
            for key in [key for key in rows if key[0] == thing_id]:
                del rows[key]
        self.timelines.pop(thing_id, None)
