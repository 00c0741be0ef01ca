"""The IAM actions that our templates' resources take, and tollbook itself.

CloudFormation acts with the rights of whoever calls it. What it does for a type of resource stands in the type's schema
(`handlers`), of which this has what our templates need:
    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from collections.abc import Mapping
from typing import Final


def _actions(service: str, names: str) -> tuple[str, ...]:
    return tuple(f"{service}:{name}" for name in names.split())


_REST: Final = _actions("apigateway", "GET POST PUT PATCH DELETE")
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "AWS::ApiGateway::Account": (*_REST, "iam:GetRole", "iam:PassRole"),
    **dict.fromkeys(
        (
            "AWS::ApiGateway::Authorizer",
            "AWS::ApiGateway::BasePathMapping",
            "AWS::ApiGateway::Deployment",
            "AWS::ApiGateway::DomainName",
            "AWS::ApiGateway::GatewayResponse",
            "AWS::ApiGateway::Method",
            "AWS::ApiGateway::Resource",
            "AWS::ApiGateway::RestApi",
            "AWS::ApiGateway::Stage",
        ),
        _REST,
    ),
    "AWS::CloudWatch::Alarm": _actions(
        "cloudwatch", "DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource UntagResource"
    ),
    "AWS::Cognito::ManagedLoginBranding": _actions(
        "cognito-idp",
        "CreateManagedLoginBranding DeleteManagedLoginBranding DescribeManagedLoginBranding "
        "DescribeManagedLoginBrandingByClient UpdateManagedLoginBranding",
    ),
    "AWS::Cognito::UserPool": _actions(
        "cognito-idp",
        "CreateUserPool DeleteUserPool DescribeUserPool GetUserPoolMfaConfig ListTagsForResource SetUserPoolMfaConfig "
        "TagResource UntagResource UpdateUserPool",
    ),
    "AWS::Cognito::UserPoolClient": _actions(
        "cognito-idp",
        "CreateUserPoolClient DeleteUserPoolClient DescribeUserPoolClient ListUserPoolClientSecrets "
        "UpdateUserPoolClient",
    ),
    "AWS::Cognito::UserPoolDomain": _actions(
        "cognito-idp", "CreateUserPoolDomain DeleteUserPoolDomain DescribeUserPoolDomain UpdateUserPoolDomain"
    ),
    "AWS::Cognito::UserPoolGroup": _actions("cognito-idp", "CreateGroup DeleteGroup GetGroup UpdateGroup"),
    "AWS::Cognito::UserPoolResourceServer": _actions(
        "cognito-idp", "CreateResourceServer DeleteResourceServer DescribeResourceServer UpdateResourceServer"
    ),
    "AWS::DynamoDB::Table": _actions(
        "dynamodb",
        "CreateTable DeleteTable DescribeContinuousBackups DescribeContributorInsights "
        "DescribeKinesisStreamingDestination DescribeTable DescribeTimeToLive GetResourcePolicy ListTagsOfResource "
        "TagResource UntagResource UpdateContinuousBackups UpdateTable UpdateTimeToLive",
    ),
    "AWS::ECR::Repository": _actions(
        "ecr",
        "CreateRepository DeleteLifecyclePolicy DeleteRepository DeleteRepositoryPolicy DescribeRepositories "
        "GetLifecyclePolicy GetRepositoryPolicy ListTagsForResource PutImageScanningConfiguration "
        "PutImageTagMutability PutLifecyclePolicy SetRepositoryPolicy TagResource UntagResource",
    ),
    "AWS::Events::Rule": _actions(
        "events",
        "DeleteRule DescribeRule ListTagsForResource ListTargetsByRule PutRule PutTargets RemoveTargets TagResource "
        "UntagResource",
    ),
    "AWS::IAM::Role": _actions(
        "iam",
        "AttachRolePolicy CreateRole DeleteRole DeleteRolePolicy DetachRolePolicy GetRole GetRolePolicy "
        "ListAttachedRolePolicies ListRolePolicies PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole "
        "UpdateRoleDescription",
    ),
    "AWS::Lambda::Alias": _actions(
        "lambda",
        "CreateAlias DeleteAlias DeleteProvisionedConcurrencyConfig GetAlias GetProvisionedConcurrencyConfig "
        "PutProvisionedConcurrencyConfig UpdateAlias",
    ),
    # What it takes to make a function of an image: https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
    "AWS::Lambda::Function": (
        *_actions(
            "lambda",
            "CreateFunction DeleteFunction GetFunction GetFunctionCodeSigningConfig GetFunctionRecursionConfig "
            "GetFunctionScalingConfig GetRuntimeManagementConfig PublishVersion TagResource UntagResource "
            "UpdateFunctionCode UpdateFunctionConfiguration",
        ),
        *_actions("ecr", "BatchGetImage GetDownloadUrlForLayer GetRepositoryPolicy"),
        "iam:PassRole",
    ),
    "AWS::Lambda::Permission": _actions("lambda", "AddPermission GetPolicy RemovePermission"),
    "AWS::Lambda::Url": _actions(
        "lambda", "CreateFunctionUrlConfig DeleteFunctionUrlConfig GetFunctionUrlConfig UpdateFunctionUrlConfig"
    ),
    "AWS::Lambda::Version": _actions(
        "lambda",
        "DeleteFunction GetFunctionConfiguration GetFunctionScalingConfig GetProvisionedConcurrencyConfig "
        "GetRuntimeManagementConfig ListVersionsByFunction PublishVersion PutProvisionedConcurrencyConfig",
    ),
    "AWS::Logs::LogGroup": _actions(
        "logs",
        "CreateLogGroup DeleteLogGroup DeleteRetentionPolicy DescribeIndexPolicies DescribeLogGroups "
        "DescribeResourcePolicies GetDataProtectionPolicy ListTagsForResource PutRetentionPolicy TagResource "
        "UntagResource",
    ),
    "AWS::Route53::RecordSet": _actions(
        "route53", "ChangeResourceRecordSets GetChange GetHostedZone ListHostedZones ListResourceRecordSets"
    ),
    "AWS::S3::Bucket": _actions(
        "s3",
        "CreateBucket DeleteBucket GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAbac GetBucketCORS "
        "GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration "
        "GetBucketOwnershipControls GetBucketPublicAccessBlock GetBucketTagging GetBucketVersioning GetBucketWebsite "
        "GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration "
        "GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration ListBucket "
        "ListTagsForResource PutBucketOwnershipControls PutBucketPublicAccessBlock PutBucketTagging "
        "PutEncryptionConfiguration PutLifecycleConfiguration TagResource UntagResource",
    ),
    "AWS::S3::BucketPolicy": _actions("s3", "DeleteBucketPolicy GetBucketPolicy PutBucketPolicy"),
    "AWS::SNS::Topic": _actions(
        "sns",
        "CreateTopic DeleteTopic GetDataProtectionPolicy GetTopicAttributes ListSubscriptionsByTopic "
        "ListTagsForResource SetTopicAttributes Subscribe TagResource Unsubscribe UntagResource",
    ),
    # GetSecretValue is for the reference to it in the function's variables, too:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-secretsmanager.html
    "AWS::SecretsManager::Secret": _actions(
        "secretsmanager",
        "CreateSecret DeleteSecret DescribeSecret GetRandomPassword GetSecretValue TagResource UntagResource "
        "UpdateSecret",
    ),
}
"""Of each type of resource in our templates: making, changing, reading and deleting it."""

LOOK: Final = "looking at what is there"
CHANGE: Final = "changing stacks"
PUSH: Final = "pushing the image"
INVITE: Final = "inviting the first user"
DESTROY: Final = "destroying"
CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    LOOK: (
        *_actions("cloudformation", "DescribeStacks GetTemplate ListChangeSets ListStackResources ListStacks"),
        "apigateway:GET",
    ),
    CHANGE: _actions(
        "cloudformation",
        "ContinueUpdateRollback CreateChangeSet DeleteChangeSet DeleteStack DescribeChangeSet DescribeEvents "
        "DescribeStackEvents ExecuteChangeSet RollbackStack TagResource",
    ),
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
    PUSH: _actions(
        "ecr",
        "BatchCheckLayerAvailability BatchGetImage CompleteLayerUpload DescribeImages GetAuthorizationToken "
        "GetDownloadUrlForLayer InitiateLayerUpload PutImage UploadLayerPart",
    ),
    INVITE: _actions("cognito-idp", "AdminAddUserToGroup AdminCreateUser"),
    DESTROY: (
        *_actions(
            "s3", "AbortMultipartUpload DeleteObject DeleteObjectVersion ListBucketMultipartUploads ListBucketVersions"
        ),
        "iam:GetRole",
        "tag:GetResources",
    ),
}
"""Of what tollbook itself asks of AWS, beside what CloudFormation does."""
