use kong_message::{RequestHead, Response, ResponseHead, reason_phrase};
use std::rc::Rc;

/// Makes the response to a request that is refused before the service sees it.
///
/// `status` is 400, 405, 408, 413, 414, 494 (head too large; the page must say 400), 501 or 505 (both nginx's own page,
/// [`nginx_page`]). `head` is what was understood of the request up to the error: header lines after the offending one
/// are not in it; `None` when the request line itself is at fault.
pub trait ErrorPages {
    /// The response.
    fn page(&self, status: u16, head: Option<&RequestHead>, conn: &Rc<kong_message::ConnInfo>) -> Response;
}

impl<F: Fn(u16, Option<&RequestHead>, &Rc<kong_message::ConnInfo>) -> Response> ErrorPages for F {
    fn page(&self, status: u16, head: Option<&RequestHead>, conn: &Rc<kong_message::ConnInfo>) -> Response {
        self(status, head, conn)
    }
}

/// The default: the words of the status as plain text, nginx's page for 501 and 505.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainPages;

impl ErrorPages for PlainPages {
    fn page(&self, status: u16, _head: Option<&RequestHead>, _conn: &Rc<kong_message::ConnInfo>) -> Response {
        if matches!(status, 501 | 505) {
            return nginx_page(status);
        }
        let status = if status == 494 { 400 } else { status };
        let mut head = ResponseHead::new(status);
        head.headers.append("Content-Type", "text/plain; charset=utf-8");
        Response::new(head, format!("{}\n", reason_phrase(status)))
    }
}

/// The HTML page that nginx makes for a status, without its server line.
pub fn nginx_page(status: u16) -> Response {
    let words = reason_phrase(status);
    let mut head = ResponseHead::new(status);
    head.headers.append("Content-Type", "text/html; charset=UTF-8");
    let body = format!(
        "<html>\r\n<head><title>{status} {words}</title></head>\r\n<body>\r\n<center><h1>{status} {words}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    Response::new(head, body)
}
