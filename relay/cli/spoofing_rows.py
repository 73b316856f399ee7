"""The rules about whose name a mail may bear, for `check-config`."""

from relay.receive.options import SpoofingOptions


def spoofing_rows(options: SpoofingOptions) -> list[tuple[str, str]]:
    """Key and value."""
    return [
        ("spoofing.from", options.from_field.value),
        ("spoofing.sender", options.sender_field.value),
        ("spoofing.display_name", options.display_name.value),
        ("spoofing.null_sender", options.null_sender.value),
        ("spoofing.alignment", options.alignment.value),
    ]
