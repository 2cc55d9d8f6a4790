import pytest

from simulator.http_server import HttpRequest
from simulator.telegram.answers import Refusal
from simulator.telegram.form import read_form


def request(body: bytes, content_type: str) -> HttpRequest:
    return HttpRequest("POST", "/bot1:x/sendMessage", body=body, content_type=content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"chat_id": -5, "text": "a b"}', "application/json; charset=utf-8"),
        (b"chat_id=-5&text=a+b", "application/x-www-form-urlencoded"),
        (
            (
                b'--x\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n-5\r\n'
                b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\na b\r\n--x--\r\n'
            ),
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_every_form_gives_the_same_fields(body: bytes, content_type: str) -> None:
    assert read_form(request(body, content_type), "offset=3") == (
        {"offset": "3", "chat_id": "-5", "text": "a b"},
        {},
    )


def test_a_file_is_found_by_its_own_name_and_by_an_attachment() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\nattach://p\r\n'
        b'--x\r\nContent-Disposition: form-data; name="p"; filename="x.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\x00\xff\r\n--x--\r\n"
    )
    _, files = read_form(request(body, "multipart/form-data; boundary=x"), "")
    assert files == {"p": ("x.png", b"\x89PNG\x00\xff"), "photo": ("x.png", b"\x89PNG\x00\xff")}


def test_a_body_that_is_no_json_is_refused() -> None:
    with pytest.raises(Refusal, match="can't parse the JSON body"):
        read_form(request(b"{", "application/json"), "")
