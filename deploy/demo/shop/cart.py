# SPDX-License-Identifier: MIT
"""A customer's cart."""

from decimal import Decimal

from shop import pricing
from shop.catalog import Product


class Cart:
    def __init__(self, region: str):
        self.region = region
        self._lines: dict[str, tuple[Product, int]] = {}

    def add(self, product: Product, quantity: int = 1) -> int:
        """Returns how many of the product are in the cart now."""
        if quantity < 1:
            raise ValueError("quantity must be at least 1")
        before = self._lines.get(product.sku, (product, 0))[1]
        self._lines[product.sku] = (product, before + quantity)
        return before + quantity

    @property
    def is_empty(self) -> bool:
        return not self._lines

    @property
    def subtotal(self) -> Decimal:
        return sum((product.price * count for product, count in self._lines.values()), Decimal(0))

    @property
    def grams(self) -> int:
        return sum(product.grams * count for product, count in self._lines.values())

    def total(self) -> Decimal:
        subtotal = self.subtotal - pricing.Discount.of(self.subtotal)
        return (
            subtotal
            + pricing.vat(subtotal, self.region)
            + pricing.shipping(self.grams, self.region)
        )

    def quantities(self) -> dict[str, int]:
        return {sku: count for sku, (_, count) in self._lines.items()}

    def lines(self) -> list[dict]:
        return [
            {"sku": product.sku, "name": product.name, "quantity": count}
            for product, count in self._lines.values()
        ]
