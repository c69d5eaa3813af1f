"""What an admitted peer and we agree on: presentation contexts, roles, and who we are."""

from receiver.admission import Admitted
from shared.settings.sections import Dicom
from shared.sop_classes import STORAGE_COMMITMENT, VERIFICATION, is_storage
from shared.upper_layer.associate import AssociateRequest
from shared.upper_layer.negotiation import answer_contexts, answer_roles
from shared.upper_layer.presentation_context import AnsweredContext
from shared.upper_layer.user_information import UserInformation


def supports(abstract_syntax: str) -> bool:
    """Whether a presentation context for this SOP class is accepted."""
    return abstract_syntax == VERIFICATION or is_storage(abstract_syntax)


def answer(
    request: AssociateRequest, admitted: Admitted, dicom: Dicom
) -> tuple[tuple[AnsweredContext, ...], UserInformation]:
    """What the A-ASSOCIATE-AC says."""
    proposed_roles = request.user_information.role_selections
    # We are the SCU of storage commitment and never its SCP: a modality must not ask us for it.
    reports = admitted.may_report and any(
        role.sop_class_uid == STORAGE_COMMITMENT and role.scp for role in proposed_roles
    )

    def supported(abstract_syntax: str) -> bool:
        if abstract_syntax == STORAGE_COMMITMENT:
            return reports
        return supports(abstract_syntax) and (admitted.may_store or abstract_syntax == VERIFICATION)

    # The asynchronous operations window is not answered: synchronous (PS3.7 D.3.3.3).
    ours = UserInformation(
        implementation_class_uid=dicom.implementation_class_uid,
        implementation_version_name=dicom.implementation_version_name,
        role_selections=answer_roles(proposed_roles, supported, {STORAGE_COMMITMENT}),
    )
    return answer_contexts(request.presentation_contexts, supported), ours
