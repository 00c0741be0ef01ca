"""AWS Lambda and what stands before it, as far as a program in it can tell: real processes, real sockets, on loopback.

configuration = Configuration(command=[...], folder=tmp_path)
async with deployed(configuration) as function, rest_api(function, RestApi()) as url: ...

Nothing of it met AWS. What it says of AWS stands with a source in the module that does it.
"""

from tests.fakes.lambda_service.authorizers import Authorizer as Authorizer
from tests.fakes.lambda_service.function_urls import function_url as function_url
from tests.fakes.lambda_service.functions import Function as Function
from tests.fakes.lambda_service.functions import deployed as deployed
from tests.fakes.lambda_service.instances import Configuration as Configuration
from tests.fakes.lambda_service.instances import Instance as Instance
from tests.fakes.lambda_service.invocations import Invocation as Invocation
from tests.fakes.lambda_service.rest_api import RestApi as RestApi
from tests.fakes.lambda_service.rest_api import rest_api as rest_api
