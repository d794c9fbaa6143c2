"""The client of a bucket, as the environment describes it."""

import os
from datetime import timedelta
from urllib.parse import SplitResult, urlsplit

from obstore.store import S3Store

from tracking.errors import StoreError

ADVICE = (
    "is the bucket there, and does this host have its AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
    "(or a role), AWS_REGION and, for a storage of your own, AWS_ENDPOINT_URL?"
)


def s3_endpoint() -> SplitResult:
    """The endpoint that the environment names; all parts are empty for AWS itself.

    Raises:
        StoreError: ``AWS_ENDPOINT_URL`` is no address.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    address = urlsplit(endpoint or "")
    if endpoint and not (address.scheme in ("http", "https") and address.netloc):
        raise StoreError(f"AWS_ENDPOINT_URL is {endpoint!r}; need http://HOST or https://HOST")
    return address


def s3_store(bucket: str) -> S3Store:
    """The storage of a bucket; endpoint, region and keys come from the environment.

    Raises:
        StoreError: ``AWS_ENDPOINT_URL`` is no address.
    """
    address = s3_endpoint()
    return S3Store(
        bucket,
        config={"endpoint": address.geturl()} if address.netloc else {},
        client_options={
            "allow_http": address.scheme == "http",
            "connect_timeout": "5s",
            "timeout": "30s",
        },
        retry_config={"max_retries": 10, "retry_timeout": timedelta(seconds=20)},
    )
