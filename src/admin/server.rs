//! Accepts the connections of the admin API and serves them, within the limits of `places`.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use ::events::{Kind, Level};
use actix_http::HttpService;
use actix_service::map_config;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage as _, rt, web};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::access::{self, Access};
use super::connections::{Connections, InProgress};
use super::error::{ApiError, never_kept};
use super::look::Watched;
use super::places::{Admission, ConnectionId};
use super::state::State;
use super::{events, routes, sampler};

/// How long the head of a request may take: it is one packet, a few seconds on a bad network.
const HEAD_WAIT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept open: longer than the usual interval of polling programs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the clean close of a connection may take.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// How long responses in progress may take when the server is stopped; all commands have been
/// answered by then.
const STOP_WAIT: Duration = Duration::from_secs(1);
/// When the server is stopped, the last response of each connection has this time to leave it.
const FLUSH_WAIT: Duration = Duration::from_millis(50);
/// How often connections that were idle for too long are closed, and messages repeated.
const TICK: Duration = Duration::from_secs(10);
/// The pause after an error of the listener, such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What supervisors and Prometheus ask for; answered however many other requests are in progress.
const PROBES: [&str; 3] = ["/live", "/ready", "/metrics"];

tokio::task_local! {
    /// The connection that the task serves.
    static CONNECTION: ConnectionId;
}

/// Serves `listener` until `stop` is cancelled; must be called within a local task set.
///
/// # Errors
/// The OS error if the listener cannot be polled; `started` is called otherwise.
pub(super) async fn serve(
    listener: TcpListener,
    state: web::Data<State>,
    access: Access,
    stop: CancellationToken,
    started: impl FnOnce(),
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = Rc::new(Connections::new());
    rt::spawn(tell_stop(state.clone()));
    let watched = web::Data::new(Watched::default());
    rt::spawn(sampler::run(state.clone(), watched.clone(), stop.clone()));
    let app = App::new()
        .app_data(state)
        .app_data(watched)
        .app_data(web::Data::new(events::End(stop.clone())))
        .app_data(routes::path_config())
        .configure(routes::routes)
        .wrap(access::middleware(access.into()))
        .wrap(limits(Rc::clone(&connections)));
    let http = HttpService::build()
        .client_request_timeout(HEAD_WAIT)
        .client_disconnect_timeout(CLOSE_WAIT)
        .keep_alive(KEEP_ALIVE)
        .h1(map_config(app, |()| AppConfig::default()))
        .tcp();
    let failed = |()| io::Error::other("the routes of the admin API are refused");
    let http = Rc::new(http.new_service(()).await.map_err(failed)?);
    started();
    let mut ticks = interval(TICK);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {
                connections.tick();
                continue;
            }
            accepted = accept(&listener, &connections) => accepted,
        };
        if let Some((id, stream)) = accepted {
            start(id, stream, &http, &connections);
        }
    }
    drop(listener);
    finish(&connections).await;
    Ok(())
}

/// Tells followers of events that a stop was requested.
async fn tell_stop(state: web::Data<State>) {
    state.stop.cancelled().await;
    let text = "streams are closed on the consumer, then the process ends";
    state.events.note(Level::Info, Kind::Stopping, None, text);
}

/// Waits for a connection, and until there is a place for it.
async fn accept(
    listener: &tokio::net::TcpListener,
    connections: &Connections,
) -> Option<(ConnectionId, TcpStream)> {
    let (stream, peer) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            if *connections.errors.borrow() == 0 {
                log::warn!("admin API cannot accept a connection error={}", logline::value(error));
            }
            *connections.errors.borrow_mut() += 1;
            sleep(ACCEPT_PAUSE).await;
            return None;
        }
    };
    loop {
        let admission = connections.places.borrow_mut().admit(peer.ip(), connections.now());
        match admission {
            Admission::Admitted(id, displaced) => {
                if let Some(displaced) = displaced {
                    *connections.displaced.borrow_mut() += 1;
                    connections.close(displaced);
                }
                return Some((id, stream));
            }
            Admission::Later(wait) => sleep(wait).await,
            Admission::Refused => return None,
        }
    }
}

/// Serves one connection on a task of its own.
fn start<S>(id: ConnectionId, stream: TcpStream, http: &Rc<S>, connections: &Rc<Connections>)
where
    S: Service<TcpStream> + 'static,
{
    let (http, own) = (Rc::clone(http), Rc::clone(connections));
    let task = rt::spawn(CONNECTION.scope(id, async move {
        // An error is the client's: no HTTP, or a connection that was lost.
        _ = http.call(stream).await;
        own.places.borrow_mut().remove(id);
        own.tasks.borrow_mut().remove(&id);
    }));
    connections.tasks.borrow_mut().insert(id, task.abort_handle());
}

/// Waits until the responses in progress have left, with a deadline, and closes every connection.
async fn finish(connections: &Connections) {
    let deadline = connections.now() + STOP_WAIT;
    while connections.now() < deadline
        && !connections.places.borrow().all_idle_for(FLUSH_WAIT, connections.now())
    {
        sleep(FLUSH_WAIT / 5).await;
    }
    connections.tasks.borrow_mut().values().for_each(AbortHandle::abort);
}

/// Tells `places` which connections have a request in progress, and refuses requests beyond the
/// limit. Every answer passes here.
fn limits<S, B>(
    connections: Rc<Connections>,
) -> impl actix_web::dev::Transform<
    S,
    ServiceRequest,
    Response = ServiceResponse<BoxBody>,
    Error = Error,
    InitError = (),
>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    from_fn(move |request: ServiceRequest, next: Next<B>| {
        let id = CONNECTION.try_with(|id| *id).ok();
        let is_probe = PROBES.contains(&request.path());
        let is_served = id.is_none_or(|id| connections.places.borrow_mut().begin(id, is_probe));
        let in_progress =
            Rc::new(InProgress::new(Rc::clone(&connections), id.filter(|_| is_served)));
        request.extensions_mut().insert(Rc::clone(&in_progress));
        async move {
            if !is_served {
                let text = "too many requests are in progress: ask again later";
                return Err(ApiError::NotNow(text.to_owned()).into());
            }
            let mut response = next.call(request).await?.map_into_boxed_body();
            never_kept(response.headers_mut());
            // An answer without end has taken a clone with it.
            response.request().extensions_mut().remove::<Rc<InProgress>>();
            drop(in_progress);
            Ok(response)
        }
    })
}
