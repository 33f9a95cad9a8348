"""What the layers know of each other.

A chunker, loader, step or backend is one module with one value of its type; the registry lists
the modules by name, so nothing here imports any of them.
"""

from octavo.protocols.ask import Answer, Ask, Asked, PromptLike
from octavo.protocols.backends import (
    Backend,
    BackendType,
    Capabilities,
    Checking,
    Embedding,
    Fetching,
    Profile,
    Sampling,
    Serve,
    Served,
    Starting,
    Transient,
)
from octavo.protocols.calls import (
    Embedded,
    Finish,
    JsonSchema,
    Message,
    RateLimit,
    Reply,
    Request,
    TokenLogprob,
    Usage,
)
from octavo.protocols.options import (
    CONTEXT,
    ChunkerMark,
    ChunkerRef,
    ContextOptions,
    Expression,
    ExpressionMark,
    Options,
    PromptMark,
    PromptRef,
    PromptText,
    SchemaMark,
    SchemaRef,
    StepMark,
    StepRef,
    named,
)
from octavo.protocols.sources import ChunkerType, LoaderType
from octavo.protocols.steps import Kind, StepType, Work
from octavo.protocols.tokens import Counter
from octavo.protocols.transport import Transport, TransportReply

__all__ = [
    "CONTEXT",
    "Answer",
    "Ask",
    "Asked",
    "Backend",
    "BackendType",
    "Capabilities",
    "Checking",
    "ChunkerMark",
    "ChunkerRef",
    "ChunkerType",
    "ContextOptions",
    "Counter",
    "Embedded",
    "Embedding",
    "Expression",
    "ExpressionMark",
    "Fetching",
    "Finish",
    "JsonSchema",
    "Kind",
    "LoaderType",
    "Message",
    "Options",
    "Profile",
    "PromptLike",
    "PromptMark",
    "PromptRef",
    "PromptText",
    "RateLimit",
    "Reply",
    "Request",
    "Sampling",
    "SchemaMark",
    "SchemaRef",
    "Serve",
    "Served",
    "Starting",
    "StepMark",
    "StepRef",
    "StepType",
    "TokenLogprob",
    "Transient",
    "Transport",
    "TransportReply",
    "Usage",
    "Work",
    "named",
]
