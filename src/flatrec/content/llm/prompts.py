"""Prompts for language models; a command shows them in its help."""

from __future__ import annotations

TEXT = "{text}"  # placeholder of the item's text

# The paper's prompt (V-A), whose [V] is the image that goes with it, and [T] the text.
AUGMENT = (
    "This is the description of an item and the corresponding image, please combine the image to improve the "
    f"quality of the description in one paragraph. The description is as follows: {TEXT}."
)
# The paper gives no prompt for items without an image, none for captions and none for their summaries: these are ours.
AUGMENT_TEXT = (
    "This is the description of an item, please improve the quality of the description in one paragraph. "
    f"The description is as follows: {TEXT}."
)
CAPTION = "Describe the item in this image in one paragraph, for a shop's catalog. Answer with the paragraph alone."
SUMMARY = (
    "Sum up this description of an item in at most twelve words, to be printed on its image. Answer with these "
    f"words alone. The description is as follows: {TEXT}"
)

# What LLMRec takes (Wei et al., WSDM 2024) in our words. The person behind a history is not guessed at: an age or a
# gender that a model makes up would be personal data, and wrong.
HISTORY, CANDIDATES, ATTRIBUTE_NAMES = "{history}", "{candidates}", "{attributes}"
PROFILE = (
    "One customer of a shop chose these items:\n"
    f"{HISTORY}\n"
    "Say in at most 60 words what this customer looks for: which kinds of items, in which style, for which use, and "
    "what seems to matter. Stay with what the items show; guess nothing about the person, such as age or gender. "
    'Answer with one JSON object and nothing else: {"profile": "YOUR WORDS"}'
)
ATTRIBUTES = (
    f"This is an item of a shop: {TEXT}\n"
    f"Name these of its attributes: {ATTRIBUTE_NAMES}. Each value has at most six words, and is null if the "
    "description does not tell. Answer with one JSON object and nothing else, whose keys are these attributes."
)
SUGGESTION = (
    "One customer of a shop chose these items:\n"
    f"{HISTORY}\n"
    "These are other items, each after its number:\n"
    f"{CANDIDATES}\n"
    "Which of them will this customer most likely choose next, and which least likely? Answer with one JSON object of "
    'two different numbers and nothing else: {"liked": NUMBER, "disliked": NUMBER}'
)
