"""Item texts and images: encoded as features, and rewritten, edited or added to with the help of a language model.

The names are imported when they are first used, so that a command's help starts fast.
"""

TYPE_CHECKING = False  # as in typing, which takes time to import
if TYPE_CHECKING:
    from flatrec.content.encode import EncodeOptions as EncodeOptions
    from flatrec.content.encode import encode_new_items as encode_new_items
    from flatrec.content.encode import encode_table as encode_table
    from flatrec.content.encode import read_new_item_table as read_new_item_table
    from flatrec.content.item_source import ItemSource as ItemSource
    from flatrec.content.llm.adjust import CaptionColumns as CaptionColumns
    from flatrec.content.llm.adjust import adjust_items as adjust_items
    from flatrec.content.llm.augment import AugmentPrompts as AugmentPrompts
    from flatrec.content.llm.augment import Destination as Destination
    from flatrec.content.llm.augment import augment_items as augment_items
    from flatrec.content.llm.augment_dataset import augment_dataset as augment_dataset
    from flatrec.content.llm.augment_dataset import read_requests as read_requests
    from flatrec.content.llm.augmentation_plan import plan_augmentation as plan_augmentation
    from flatrec.content.llm.augmentation_requests import AugmentationSettings as AugmentationSettings
    from flatrec.content.llm.settings import Endpoint as Endpoint

_HOMES = {
    "AugmentPrompts": "flatrec.content.llm.augment",
    "AugmentationSettings": "flatrec.content.llm.augmentation_requests",
    "CaptionColumns": "flatrec.content.llm.adjust",
    "Destination": "flatrec.content.llm.augment",
    "EncodeOptions": "flatrec.content.encode",
    "Endpoint": "flatrec.content.llm.settings",
    "ItemSource": "flatrec.content.item_source",
    "adjust_items": "flatrec.content.llm.adjust",
    "augment_dataset": "flatrec.content.llm.augment_dataset",
    "augment_items": "flatrec.content.llm.augment",
    "encode_new_items": "flatrec.content.encode",
    "encode_table": "flatrec.content.encode",
    "plan_augmentation": "flatrec.content.llm.augmentation_plan",
    "read_new_item_table": "flatrec.content.encode",
    "read_requests": "flatrec.content.llm.augment_dataset",
}


def __getattr__(name: str) -> object:
    from flatrec.utils.lazy_registry import lazy

    return lazy(__name__, name, _HOMES)


def __dir__() -> list[str]:
    return list(_HOMES)
