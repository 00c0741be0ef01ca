"""Cognito, played by moto: what a user gets who gives his password, signed with a real key.

moto has no browser endpoints, and puts neither an audience nor scopes of a resource server into its tokens.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3
import pytest

from tests.auth_servers.issuer import PASSWORD, USER
from tests.fakes.moto import REGION, go_to_moto, moto_server

SCOPE: Final = "aws.cognito.signin.user.admin"
"""The only one of an access token here."""


class CognitoLogin(NamedTuple):
    """A user of a new pool, logged in with his password.

    Attributes:
        pool: the id of the user pool, in `region`.
        issuer: what stands in `iss`: AWS's own address of the pool, where these tokens' keys are not.
        jwks_url: where they are.
        client: the id of the app client; in the access token's `client_id`, and in the id token's `aud`.
        subject: what stands in `sub`.
        access_token: has no `aud`, and no scope but SCOPE.
    """

    region: str
    pool: str
    issuer: str
    jwks_url: str
    client: str
    subject: str
    access_token: str
    id_token: str


@contextmanager
def cognito(log: Path) -> Iterator[CognitoLogin]:
    """Makes a pool, an app client and USER, and logs him in with PASSWORD; `log` takes what moto's server prints.

    Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html
    """
    with moto_server(log) as url, _client(url, log.parent) as asked:
        pool = asked.create_user_pool(PoolName="pool")["UserPool"]["Id"]
        flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        made = asked.create_user_pool_client(UserPoolId=pool, ClientName="app", ExplicitAuthFlows=flows)
        client = made["UserPoolClient"]["ClientId"]
        made = asked.admin_create_user(UserPoolId=pool, Username=USER, MessageAction="SUPPRESS")
        subject = next(each["Value"] for each in made["User"]["Attributes"] if each["Name"] == "sub")
        asked.admin_set_user_password(UserPoolId=pool, Username=USER, Password=PASSWORD, Permanent=True)
        proof = {"USERNAME": USER, "PASSWORD": PASSWORD}
        given = asked.initiate_auth(AuthFlow="USER_PASSWORD_AUTH", ClientId=client, AuthParameters=proof)
        yield CognitoLogin(
            region=REGION,
            pool=pool,
            issuer=f"https://cognito-idp.{REGION}.amazonaws.com/{pool}",
            jwks_url=f"{url}/{pool}/.well-known/jwks.json",
            client=client,
            subject=subject,
            access_token=given["AuthenticationResult"]["AccessToken"],
            id_token=given["AuthenticationResult"]["IdToken"],
        )


@contextmanager
def _client(url: str, folder: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as environment:
        go_to_moto("COGNITO_IDENTITY_PROVIDER", url, environment, folder)
        with closing(boto3.session.Session().client("cognito-idp")) as client:
            yield client
