"""A repository of Amazon ECR: what is in it already, and how an engine gets in."""

import base64
from typing import Any, Final, NamedTuple

from tollbook.deploy.trouble import DeployError, translated

_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class Entry(NamedTuple):
    """What lets an engine in, for twelve hours. It is a secret."""

    user: str
    password: str


class Registry:
    """One repository."""

    def __init__(self, client: Any, uri: str) -> None:
        """
        Args:
            client: boto3's of `ecr`, in the repository's region.
            uri: as the bootstrap stack gives it: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME.
        """
        self.uri, self._client = uri, client
        self.address, _, self._name = uri.partition("/")

    def digest(self, tag: str) -> str | None:
        """That of the image which has `tag`, as sha256:…; None where there is no such image.

        Raises:
            DeployError: ECR does not say; or the image is none that Lambda takes.
        """
        # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
        found = self._ask("describe_images", repositoryName=self._name, imageIds=[{"imageTag": tag}])
        if not (found and found["imageDetails"]):
            return None
        (image,) = found["imageDetails"]
        if image.get("imageManifestMediaType") in _INDEXES:
            raise DeployError(
                f"'{self.uri}:{tag}' is an index of images, and Lambda takes none: delete it in Amazon ECR, and run "
                "the same command again."
            )
        return str(image["imageDigest"])

    def entry(self) -> Entry:
        """What lets an engine in.

        Raises:
            DeployError: ECR gives none.
        """
        # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
        (given,) = (self._ask("get_authorization_token") or {})["authorizationData"]
        user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
        return Entry(user, password)

    def _ask(self, operation: str, **words: Any) -> Any:
        """The answer; None where there is no such image."""
        try:
            with translated("ecr"):
                return getattr(self._client, operation)(**words)
        except DeployError as fault:
            if fault.code == "ImageNotFoundException":
                return None
            if fault.code == "RepositoryNotFoundException":
                raise DeployError(
                    f"There is no repository '{self._name}': run the same command again, which makes it.",
                    action=fault.action,
                    code=fault.code,
                ) from fault
            raise
