# SPDX-License-Identifier: MIT
"""What the shop sells."""

from dataclasses import dataclass
from decimal import Decimal


class UnknownProduct(LookupError):
    def __init__(self, sku: str):
        super().__init__(f"there is no product {sku!r}")
        self.sku = sku


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    price: Decimal
    grams: int


class Catalog:
    def __init__(self, products: list[Product]):
        self._products = {product.sku: product for product in products}

    @classmethod
    def standard(cls) -> "Catalog":
        return cls(
            [
                Product("tea-green", "Green tea", Decimal("7.90"), 100),
                Product("tea-black", "Black tea", Decimal("6.40"), 100),
                Product("pot-clay", "Clay teapot", Decimal("48.00"), 650),
                Product("cup-small", "Small cup", Decimal("9.50"), 180),
                Product("kettle", "Iron kettle", Decimal("89.00"), 1900),
            ]
        )

    def find(self, sku: str) -> Product:
        try:
            return self._products[sku]
        except KeyError:
            raise UnknownProduct(sku) from None

    def list(self) -> list[Product]:
        return sorted(self._products.values(), key=lambda product: product.name)

    def __len__(self) -> int:
        return len(self._products)
