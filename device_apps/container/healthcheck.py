"""Health check of the container: asks /healthz of the camera; exit status 0 while frames arrive, else 1.

python healthcheck.py [PORT]       the token is $EDGE_SSD_WEB_TOKEN, else that of the secret web_token
"""

import http.client
import os
import sys
from pathlib import Path

SECRET = Path("/run/secrets/web_token")


def main(port: str = "8080") -> int:
    token = os.environ.get("EDGE_SSD_WEB_TOKEN", "")
    try:
        if not token and SECRET.exists():
            token = SECRET.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        print(f"{SECRET}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}")
        return 1
    token = token.strip()
    if not (token.isascii() and token.isprintable()):
        print("the web token must be one line of ASCII")
        return 1
    if not (port.isascii() and port.isdigit()):
        print(f"the port must be a number, got {port!r}")
        return 1
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=5)
    try:
        connection.request("GET", "/healthz", headers=headers)
        response = connection.getresponse()
        print(response.read().decode(errors="replace").strip())
    except (OSError, OverflowError, http.client.HTTPException) as error:
        print(f'no answer at port {port}: {error}; the configuration needs web = "0.0.0.0:{port}"')
        return 1
    return int(response.status != 200)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
