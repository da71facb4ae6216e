# SPDX-License-Identifier: MIT
"""Taxes, shipping and discounts."""

import functools
from decimal import ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")
_VAT = {"eu": Decimal("0.21"), "us": Decimal("0"), "uk": Decimal("0.20")}
_SHIPPING_PER_KILO = {"eu": Decimal("4.50"), "us": Decimal("9.00"), "uk": Decimal("5.20")}


def rounded(function):
    """The function's result in whole cents."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs).quantize(_CENT, rounding=ROUND_HALF_UP)

    return wrapper


@rounded
def vat(amount: Decimal, region: str) -> Decimal:
    return amount * _VAT[region]


@rounded
def shipping(grams: int, region: str) -> Decimal:
    return Decimal(grams) / 1000 * _SHIPPING_PER_KILO[region]


class Discount:
    """Ten percent from 100 on."""

    threshold = Decimal("100")

    @staticmethod
    def rate(subtotal: Decimal) -> Decimal:
        return Decimal("0.10") if subtotal >= Discount.threshold else Decimal("0")

    @classmethod
    @rounded
    def of(cls, subtotal: Decimal) -> Decimal:
        return subtotal * cls.rate(subtotal)


def is_region(region: str) -> bool:
    return region in _VAT
