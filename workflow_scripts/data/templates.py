"""The wordings in which the tasks of finetuning are asked; all lower-case, as queries are."""

RELATIONSHIP_TEMPLATES = (
    "what is the relationship between {subject} and {object}?",
    "how are {subject} and {object} related?",
    "how does {subject} relate to {object}?",
    "what is the relation of {subject} to {object}?",
)

DESCRIPTION_TEMPLATES = (
    "describe this image in detail.",
    "describe this picture in detail.",
    "what do you see in this image?",
    "give a detailed description of this image.",
)

CAPTION_TEMPLATES = (
    "describe this image.",
    "describe the picture briefly.",
    "describe this photograph in one sentence.",
    "what is in this image?",
    "what is in this picture?",
    "what does this photograph show?",
    "what is happening in this picture?",
    "what is going on here?",
    "what can you see in the image?",
    "tell me what you see.",
    "give a short description of this image.",
    "write a caption for this picture.",
    "say in one sentence what this photograph shows.",
)

IS_TRUE_TEMPLATE = "is this true of the picture: {caption}?"

EXPRESSION_TEMPLATES = (
    "where is {expression}? give the box.",
    "give the box of {expression}.",
)
