"""Login to Flower by any OpenID Connect provider; Flower itself knows four."""

import json

from flower.views.auth import OktaLoginHandler
from tornado.auth import AuthError
from tornado.httpclient import HTTPError


class OidcLoginHandler(OktaLoginHandler):  # type: ignore[misc]
    """Okta's handler, with the endpoints that the provider names.

    OpenID Connect Discovery 1.0, section 4. The userinfo must have `email`, and `email_verified`.
    """

    _OAUTH_AUTHORIZE_URL = ""
    _OAUTH_ACCESS_TOKEN_URL = ""
    _OAUTH_USER_INFO_URL = ""

    async def get(self) -> None:
        """
        Raises:
            tornado.auth.AuthError: the provider cannot be reached, or has no such document.
        """
        document = f"{self.base_url}/.well-known/openid-configuration"
        try:
            answer = await self.get_auth_http_client().fetch(document)
            provider = json.loads(answer.body)
            self._OAUTH_AUTHORIZE_URL = provider["authorization_endpoint"]
            self._OAUTH_ACCESS_TOKEN_URL = provider["token_endpoint"]
            self._OAUTH_USER_INFO_URL = provider["userinfo_endpoint"]
        except (OSError, HTTPError, ValueError, KeyError) as error:
            kind = type(error).__name__
            raise AuthError(f"{document} does not say how to log in: {kind}") from error
        await super().get()
