"""Snapshots as the print shop sees it: an API called with a bearer token that Authlib renews."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from bartizan.demo.printshop.settings import Settings

SHOWN = 24
EARLY = 20  # seconds before its end a token is renewed


class AccessEnded(Exception):  # noqa: N818 - a fact, not an error
    """The person has ended this shop's access, or it has run out."""


class Away(Exception):  # noqa: N818
    """Snapshots does not answer as it should."""


class Snapshots:
    def __init__(self, settings: Settings, client: Any, kept: dict[str, Any]) -> None:
        self._settings = settings
        self._client = client
        self._kept = kept

    def photos(self) -> list[dict[str, str]]:
        answer = self._call("GET", "/api/photos")
        if answer.status_code != 200:
            raise Away
        photos = answer.json()["photos"][:SHOWN]
        token = self.access_token()
        with ThreadPoolExecutor(4) as pool:
            pictures = list(pool.map(lambda photo: self._picture(photo, token), photos))
        return [{"id": p["id"], "title": p["title"], "picture": url} for p, url in zip(photos, pictures, strict=True)]

    def delete(self, photo_id: str) -> requests.Response:
        return self._call("DELETE", f"/api/photos/{quote(photo_id, safe='')}")

    def access_token(self) -> str:
        """Renewed when it is about to end."""
        token = self._kept["token"]
        if token.get("expires_at", 0) - EARLY < time.time() and "refresh_token" in token:
            try:
                token = self._renewed(token)
            except OAuthError as refused:
                raise AccessEnded from refused
        return str(token["access_token"])

    def _renewed(self, token: dict[str, Any]) -> dict[str, Any]:
        settings = self._settings
        endpoint = self._client.load_server_metadata()["token_endpoint"]
        session: Any = OAuth2Session  # Authlib has no types
        with session(settings.client_id, settings.client_secret) as client:  # by Basic, its default
            new: dict[str, Any] = client.refresh_token(endpoint, token["refresh_token"])
        self._kept["token"] = {**token, **new}
        return new

    def _call(self, method: str, path: str) -> requests.Response:
        answer = requests.request(
            method,
            f"{self._settings.api}{path}",
            headers={"Authorization": f"Bearer {self.access_token()}", "Accept": "application/json"},
            timeout=10,
            allow_redirects=False,
        )
        if answer.status_code == 401:
            raise AccessEnded
        if answer.status_code >= 500:
            raise Away
        return answer

    def _picture(self, photo: dict[str, Any], token: str) -> str:
        """A short-lived link to the thumbnail, or to the photo while it has none; "" when there is no picture."""
        if not photo.get("file_id"):
            return ""
        for variant in ("thumb", "original"):
            answer = requests.get(
                f"{self._settings.api}/files/{photo['file_id']}/link",
                params={"variant": variant},
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                timeout=10,
                allow_redirects=False,
            )
            if answer.status_code == 200:
                return str(answer.json()["url"])
        return ""
