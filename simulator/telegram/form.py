"""The fields and files of a call, in each of the forms that clients send."""

import email
import email.policy
from urllib.parse import parse_qs

import msgspec

from simulator.http_server import HttpRequest
from simulator.telegram.answers import Refusal


def read_form(
    request: HttpRequest, query: str
) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    """Return fields, and files with their names, of a form, a multipart form or JSON.

    Args:
        request: the call.
        query: of its address; what the body says wins.

    Raises:
        Refusal: the body is not what it says it is.
    """
    fields = {name: values[-1] for name, values in parse_qs(query).items()}
    files: dict[str, tuple[str, bytes]] = {}
    kind = request.content_type.partition(";")[0].strip().lower()
    if kind == "application/json" and request.body:
        try:
            content = msgspec.json.decode(request.body, type=dict[str, object])
        except msgspec.DecodeError as error:
            raise Refusal(400, "Bad Request: can't parse the JSON body") from error
        for name, value in content.items():
            fields[name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    elif kind == "multipart/form-data":
        head = f"Content-Type: {request.content_type}\r\n\r\n".encode("latin-1")
        message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
        for part in message.iter_parts():
            name = str(part.get_param("name", "", header="content-disposition"))
            content_bytes = part.get_payload(decode=True)
            data = content_bytes if isinstance(content_bytes, bytes) else b""
            filename = part.get_filename()
            if filename is None:
                fields[name] = data.decode("utf-8", "replace")
            else:
                files[name] = (filename, data)
    elif request.body:
        form = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        fields.update({name: values[-1] for name, values in form.items()})
    # A file may be named by a field that holds attach://<part>.
    for name, value in list(fields.items()):
        if (
            value.startswith("attach://")
            and (part_name := value.removeprefix("attach://")) in files
        ):
            files[name] = files[part_name]
    return fields, files
