//! DescribeGroups, ListGroups, DeleteGroups.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, ListGroupsRequest,
    ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::broker::node::Node;
use crate::group::Reply;

impl Node {
    pub(super) async fn describe_groups(
        self: &Arc<Self>,
        r: DescribeGroupsRequest,
        version: i16,
    ) -> DescribeGroupsResponse {
        let describe = |id: &kafka_protocol::messages::GroupId| {
            let described =
                super::named(id).and_then(|()| self.groups.ask(id, |core, _, _| core.describe(id, version)));
            let refused = |error: ResponseError| {
                DescribedGroup::default().with_group_id(id.clone()).with_error_code(error.code())
            };
            described.unwrap_or_else(refused)
        };
        DescribeGroupsResponse::default().with_groups(r.groups.iter().map(describe).collect())
    }

    pub(super) async fn list_groups(self: &Arc<Self>, r: ListGroupsRequest) -> ListGroupsResponse {
        let among = |filter: &[StrBytes], value: &StrBytes| {
            filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(value))
        };
        let wanted = |g: &ListedGroup| among(&r.states_filter, &g.group_state) && among(&r.types_filter, &g.group_type);
        let mut groups = Vec::new();
        let all = self.groups.look(|core| groups.extend(core.list().filter(wanted)));
        let code = if all { 0 } else { ResponseError::CoordinatorLoadInProgress.code() };
        ListGroupsResponse::default().with_error_code(code).with_groups(groups)
    }

    pub(super) async fn delete_groups(self: &Arc<Self>, r: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let mut results = Vec::with_capacity(r.groups_names.len());
        for id in r.groups_names {
            let code = match super::named(&id) {
                Err(error) => error.code(),
                Ok(()) => match self.groups.call(&id, |core, now, t, out| core.delete_group(now, t, &id, out)).await {
                    Ok(Reply::DeleteGroup(code)) => code,
                    Ok(other) => super::members::unexpected(&other, |error| error.code()),
                    Err(error) => error.code(),
                },
            };
            results.push(DeletableGroupResult::default().with_group_id(id).with_error_code(code));
        }
        DeleteGroupsResponse::default().with_results(results)
    }
}
