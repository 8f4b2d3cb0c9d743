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

EXPRESSION_TEMPLATES = (
    "where is {expression}? give the box.",
    "give the box of {expression}.",
)
