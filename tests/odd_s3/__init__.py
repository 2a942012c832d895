"""An S3 server in memory, on a real socket, that answers as some do and others do not: what is odd is chosen."""

from tests.odd_s3.answers import OddServer
from tests.odd_s3.objects import running_odd
from tests.odd_s3.oddities import Odd

__all__ = ["Odd", "OddServer", "running_odd"]
