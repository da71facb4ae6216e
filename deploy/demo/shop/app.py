# SPDX-License-Identifier: MIT
"""The shop's web interface.

    GET  /products         all products
    GET  /products/SKU     one product
    POST /cart/items       {"sku": ..., "quantity": 1, "region": "eu"}
    GET  /cart             lines and total
    POST /cart/checkout    the total, and the cart is gone

The cart travels in the customer's session cookie, so that any worker can serve any request.
"""

import os

from flask import Flask, jsonify, request, session

from shop import pricing
from shop.cart import Cart
from shop.catalog import Catalog, Product, UnknownProduct


def _product(product: Product) -> dict:
    return {"sku": product.sku, "name": product.name, "price": str(product.price)}


def _bad_request(message: str):
    return jsonify(error=message), 400


def _load_cart(catalog: Catalog, region: str) -> Cart:
    """The customer's cart out of the cookie, or a new one."""
    saved = session.get("cart", {"region": region, "lines": {}})
    cart = Cart(saved["region"])
    for sku, quantity in saved["lines"].items():
        cart.add(catalog.find(sku), quantity)
    return cart


def _save_cart(cart: Cart) -> None:
    session["cart"] = {"region": cart.region, "lines": cart.quantities()}


def create_app() -> Flask:
    app = Flask("shop")
    # it protects nothing but demo carts
    app.secret_key = os.environ.get("SHOP_SECRET", "only a demo")
    catalog = Catalog.standard()

    @app.errorhandler(UnknownProduct)
    def unknown_product(error):
        return jsonify(error=str(error)), 404

    @app.get("/products")
    def list_products():
        return jsonify([_product(product) for product in catalog.list()])

    @app.get("/products/<sku>")
    def show_product(sku):
        return jsonify(_product(catalog.find(sku)))

    @app.post("/cart/items")
    def add_item():
        item = request.get_json()
        region = item.get("region", "eu")
        quantity = item.get("quantity", 1)
        if not pricing.is_region(region):
            return _bad_request(f"there is no region {region!r}")
        if not isinstance(quantity, int) or quantity < 1:
            return _bad_request("quantity must be a whole number from 1 on")
        cart = _load_cart(catalog, region)
        count = cart.add(catalog.find(str(item.get("sku"))), quantity)
        _save_cart(cart)
        return jsonify(quantity=count)

    @app.get("/cart")
    def show_cart():
        cart = _load_cart(catalog, "eu")
        return jsonify(lines=cart.lines(), total=str(cart.total()))

    @app.post("/cart/checkout")
    def checkout():
        cart = _load_cart(catalog, "eu")
        if cart.is_empty:
            return _bad_request("the cart is empty")
        session.pop("cart")
        return jsonify(total=str(cart.total()))

    return app
