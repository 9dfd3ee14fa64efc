//! The HTTP edge of Crisol: services, routers, endpoints over any `Invoke`
