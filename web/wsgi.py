"""What gunicorn serves."""

from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from core.settings import get_settings
from web.app import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def behind_proxies(app: Flask, proxies: int) -> "WSGIApplication":
    """Believe the last `proxies` proxies who the client is and whether it speaks TLS; 0: nobody.

    Hosts are never taken from a proxy's header: they name tenants.
    """
    return ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0)


app = behind_proxies(create_app(), get_settings().trusted_proxies)
