"""The base of all sections of the configuration."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of settings in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def defining(self) -> dict[str, Any]:
        """The values that decide a result, without those of fields marked `identity: False` (resources, labels)."""
        values = self.model_dump(mode="json")
        for name, info in type(self).model_fields.items():
            extra = info.json_schema_extra
            if isinstance(extra, Mapping) and extra.get("identity") is False:
                del values[name]
        return values
