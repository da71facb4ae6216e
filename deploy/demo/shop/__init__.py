# SPDX-License-Identifier: MIT
"""A small shop: a catalog, carts and a checkout, served by Flask.

    gunicorn --workers 2 "shop.app:create_app()"
"""
