"""Refusals about campaigns."""

from thingstead.kernel.errors import Category, ThingsteadError


class CampaignNotFoundError(ThingsteadError):
    """No campaign has this id."""

    category = Category.NOT_FOUND
    code = "campaign-not-found"
    message = "Campaign not found"
    advice = "`thingstead campaign list` shows the campaigns and their ids."


class InvalidCampaignError(ThingsteadError):
    """The plan cannot be carried out."""

    category = Category.INVALID
    code = "invalid-campaign"
    message = "Invalid campaign"
    advice = "The text after the colon names what is wrong and what is expected."


class CampaignExistsError(ThingsteadError):
    """The image is in a campaign that has not ended."""

    category = Category.CONFLICT
    code = "campaign-exists"
    message = "The firmware is in a campaign"
    advice = "Cancel that campaign first; `thingstead campaign list` shows it."


class WrongCampaignStateError(ThingsteadError):
    """What is asked cannot be done in the campaign's state."""

    category = Category.CONFLICT
    code = "wrong-campaign-state"
    message = "Wrong state of the campaign"
    advice = "`thingstead campaign show` tells the state and why it is so."
