"""Refusals about products and activation codes."""

from thingstead.kernel.errors import Category, ThingsteadError


class ProductNotFoundError(ThingsteadError):
    """No product has this id."""

    category = Category.NOT_FOUND
    code = "product-not-found"
    message = "Product not found"
    advice = "`thingstead product list` shows the products and their ids."


class InvalidProductError(ThingsteadError):
    """A product's name is empty, too long, or has control characters."""

    category = Category.INVALID
    code = "invalid-product"
    message = "Invalid product"
    advice = "The text after the colon says what a name may be."


class InvalidCountError(ThingsteadError):
    """So many activation codes cannot be made at once."""

    category = Category.INVALID
    code = "invalid-count"
    message = "Invalid count"
    advice = "Make from 1 to 100,000 codes at a time."
