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
