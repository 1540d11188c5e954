//! The calls of Flight, each with its user: whoever makes one is asked for it here, before anything is done, and nowhere else.

use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    PollInfo, SchemaResult, Ticket,
    flight_service_server::FlightService,
    sql::{Any, Command},
};
use async_trait::async_trait;
use futures::stream;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{problem, service::Service, ticket::TICKET_BYTES_MAX};

/// Ends a statement that runs.
pub(super) const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
/// Ends a token.
pub(super) const CLOSE_SESSION: &str = "CloseSession";

/// Most bytes of a command around a ticket.
const COMMAND_BYTES_MAX: usize = 1 << 10;

/// The actions that do something here.
const ACTIONS: &[(&str, &str)] = &[
    (
        "CreatePreparedStatement",
        "prepares a reading statement: ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult",
    ),
    (
        "ClosePreparedStatement",
        "forgets a prepared statement: ActionClosePreparedStatementRequest",
    ),
    (
        "CancelQuery",
        "ends a statement that runs: ActionCancelQueryRequest, ActionCancelQueryResult",
    ),
    (
        CANCEL_FLIGHT_INFO,
        "ends a statement that runs: CancelFlightInfoRequest, CancelFlightInfoResult",
    ),
    (
        CLOSE_SESSION,
        "ends the token by which it is called: CloseSessionRequest, CloseSessionResult",
    ),
];

/// What listens.
#[derive(Debug)]
pub(super) struct Surface(pub(super) Service);

impl Surface {
    /// The request with its user.
    async fn known<T>(&self, request: Request<T>) -> Result<Request<T>, Status> {
        let (metadata, mut extensions, message) = request.into_parts();
        let user = self.0.sessions.who(&metadata).await?;
        extensions.insert(user);
        Ok(Request::from_parts(metadata, extensions, message))
    }
}

/// Refuses what is no command; further on that would be told as a fault of the server.
fn is_command(bytes: &[u8]) -> Result<(), Status> {
    if bytes.len() > TICKET_BYTES_MAX.saturating_add(COMMAND_BYTES_MAX) {
        return Err(problem::invalid(format!(
            "a command of {} bytes is too long",
            bytes.len()
        )));
    }
    let any = Any::decode(bytes)
        .map_err(|error| problem::invalid(format!("not a command of Flight SQL: {error}")))?;
    let command = Command::try_from(any).map_err(|error| problem::invalid(error.to_string()))?;
    if let Command::Unknown(any) = command {
        return Err(problem::invalid(format!(
            "not a command of Flight SQL: {:?}",
            any.type_url
        )));
    }
    Ok(())
}

#[async_trait]
impl FlightService for Surface {
    type HandshakeStream = <Service as FlightService>::HandshakeStream;
    type ListFlightsStream = <Service as FlightService>::ListFlightsStream;
    type DoGetStream = <Service as FlightService>::DoGetStream;
    type DoPutStream = <Service as FlightService>::DoPutStream;
    type DoActionStream = <Service as FlightService>::DoActionStream;
    type ListActionsStream = <Service as FlightService>::ListActionsStream;
    type DoExchangeStream = <Service as FlightService>::DoExchangeStream;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.0.handshake(request).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.known(request).await?;
        Err(Status::unimplemented(
            "flights are not listed; tables are (CommandGetTables)",
        ))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let request = self.known(request).await?;
        is_command(&request.get_ref().cmd)?;
        self.0.get_flight_info(request).await
    }

    /// What is asked for is known at once, and whole.
    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let info = self.get_flight_info(request).await?.into_inner();
        Ok(Response::new(PollInfo {
            info: Some(info),
            flight_descriptor: None,
            progress: Some(1.0),
            expiration_time: None,
        }))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let info = self.get_flight_info(request).await?.into_inner();
        Ok(Response::new(SchemaResult { schema: info.schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let request = self.known(request).await?;
        is_command(&request.get_ref().ticket)?;
        self.0.do_get(request).await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        self.0.do_put(self.known(request).await?).await
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        self.0.do_action(self.known(request).await?).await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.known(request).await?;
        let actions = ACTIONS.iter().map(|(name, description)| {
            Ok(ActionType {
                r#type: (*name).to_owned(),
                description: (*description).to_owned(),
            })
        });
        Ok(Response::new(Box::pin(stream::iter(actions))))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.known(request).await?;
        Err(Status::unimplemented("nothing is exchanged here; ask with DoGet"))
    }
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::{Any, CommandGetTables, CommandStatementQuery, ProstMessageExt};
    use prost::Message;
    use tonic::Code;

    use super::{COMMAND_BYTES_MAX, TICKET_BYTES_MAX, is_command};

    #[test]
    fn what_is_no_command_is_the_callers_fault() {
        let query = CommandStatementQuery {
            query: "SELECT 1".to_owned(),
            transaction_id: None,
        };
        assert!(is_command(&query.as_any().encode_to_vec()).is_ok());
        let damaged = Any {
            value: vec![0xFF; 9].into(),
            ..CommandGetTables::default().as_any()
        };
        let other = Any {
            type_url: "type.googleapis.com/other".to_owned(),
            value: Vec::new().into(),
        };
        for bytes in [
            Vec::new(),
            vec![0xFF; 40],
            damaged.encode_to_vec(),
            other.encode_to_vec(),
            vec![0; TICKET_BYTES_MAX + COMMAND_BYTES_MAX + 1],
        ] {
            assert_eq!(is_command(&bytes).unwrap_err().code(), Code::InvalidArgument);
        }
    }
}
